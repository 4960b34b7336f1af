// Package report writes what was measured: tables in Markdown, charts in SVG, and the machine it was measured on. It
// knows nothing of what the numbers mean.
package report
