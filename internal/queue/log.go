package queue

import (
	"fmt"

	"go.uber.org/zap"
)

// asynqLog takes what Asynq has to say. Its information is of no use to an
// operator; what went wrong is.
type asynqLog struct{ log *zap.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }

// Fatal is said of nothing but faults of the program. It ends no process: the
// owner of the worker does.
func (l asynqLog) Fatal(args ...any) { l.log.DPanic(fmt.Sprint(args...)) }
