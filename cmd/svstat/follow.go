package main

import (
	"context"
	"errors"
	"io"
)

func follow(ctx context.Context, o options, stdout, stderr io.Writer) error {
	return errors.ErrUnsupported
}
