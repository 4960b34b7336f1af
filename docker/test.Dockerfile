# Everything the tests start, for machines that have Docker in place of apt. scripts/deps.sh builds and runs it.
FROM golang:1.26-bookworm
COPY scripts/deps.sh /usr/local/bin/deps.sh
RUN deps.sh redis postgres nginx caddy prometheus gcc && rm -rf /var/lib/apt/lists/*
