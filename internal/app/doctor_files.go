package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// dataFolder looks at who can read what is in the data folder.
func (d *Doctor) dataFolder(_ context.Context, r *report) error {
	dir := d.cfg.Data.Dir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		r.say("%s does not exist yet: a service makes it when it needs it", dir)
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		r.fail("set data.dir to a folder", "%s is no folder", dir)
		return nil
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o022 != 0:
		r.fail("chmod 700 "+dir, "others can put files into %s (mode %04o), and an access token of their own", dir, mode)
	case mode&0o055 != 0:
		r.warn("chmod 700 "+dir, "others can look into %s (mode %04o)", dir, mode)
	}
	files := 0
	for _, name := range []string{headerFile, "viva.db", "viva.db-wal", "viva.db-shm"} {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if files++; info.Mode().Perm()&0o077 != 0 {
			r.fail("chmod 600 "+file, "others can read %s (mode %04o)", file, info.Mode().Perm())
		}
	}
	running, err := locked(filepath.Join(dir, dataLock))
	if err != nil {
		return err
	}
	if running {
		r.say("%s has mode %04o and %d files of ours; a viva serve has it", dir, info.Mode().Perm(), files)
	} else {
		r.say("%s has mode %04o and %d files of ours; no viva serve has it", dir, info.Mode().Perm(), files)
	}
	return nil
}

// certificateWithin is how long before its end a certificate should be renewed.
const certificateWithin = 14 * 24 * time.Hour

func (d *Doctor) certificate(_ context.Context, r *report) error {
	files := d.cfg.Server.TLS
	if files.CertFile == "" {
		r.say("the API is served without TLS")
		return nil
	}
	r.remedy = "give server.tls.cert_file and server.tls.key_file a certificate and its key, in PEM"
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	now := d.now()
	left := leaf.NotAfter.Sub(now).Round(time.Minute)
	renew := "renew " + files.CertFile + ", and restart the service"
	switch {
	case now.Before(leaf.NotBefore):
		r.fail(renew, "the certificate is not valid before %s", instant(leaf.NotBefore))
	case left <= 0:
		r.fail(renew, "the certificate has ended at %s", instant(leaf.NotAfter))
	case left < certificateWithin:
		r.warn(renew, "the certificate ends at %s, in %s", instant(leaf.NotAfter), ago(left))
	}
	info, err := os.Stat(files.KeyFile)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		r.fail("chmod o= "+files.KeyFile, "everybody on this machine can read the key in %s (mode %04o)", files.KeyFile, info.Mode().Perm())
	}
	r.say("the certificate is valid until %s", instant(leaf.NotAfter))
	return nil
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// ago is a length of time as people say it.
func ago(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Second).String()
}

// locked tells whether a process has locked a file. It shares the lock for a
// moment where none has.
func locked(path string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close() // and the lock with it
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
