package ingest

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// A trouble is a kind of failure to deliver: the label kind of carom_flush_errors_total and carom_flush_blocked.
type trouble uint8

const (
	troubleNetwork  trouble = iota // no connection, or it broke
	troubleTimeout                 // no answer in time
	troubleBusy                    // ClickHouse lacks room, memory or threads, or a quota is used up
	troubleReadonly                // table, replica or keeper takes no writes for now
	troubleDenied                  // user, password or grant
	troubleSchema                  // the tables are not those of the schema
	troubleView                    // rows are stored, but a view that feeds on them failed
	troubleRefused                 // the rows break a rule of the table
	troubleOther                   // ClickHouse said what answerOf does not know
	troubleSpool                   // the spool cannot be written
	troubleCopy                    // a copy of the spool was delivered
	troubles
)

func (t trouble) String() string {
	return [...]string{"network", "timeout", "busy", "readonly", "denied", "schema", "view", "refused", "other", "spool", "copy"}[t]
}

// advice says what an operator can do.
func (t trouble) advice() string {
	return [...]string{
		"see whether ClickHouse runs and the address of the DSN is right",
		"see what ClickHouse is busy with",
		"nothing, unless it lasts: then ClickHouse needs room, memory, fewer parts or a larger quota",
		"make the table writable again, or look after the replica and its keeper",
		"correct user and password of the DSN, or give the user the grants of carom_edge and a profile that lets clients choose settings",
		"run carom schema apply, or undo what changed the tables",
		"mend or drop the view, or make its rollup writable; the batch then completes it",
		"undo the constraint or the change of type that refuses most rows; few refused rows would be set aside",
		"look the error up; if it lasts the batch is taken for refused",
		"make room on the disk of the spool, or make it writable",
		"restart the node with another spool; carom spool replay --by-id delivers what of this one is missing",
	}[t]
}

// Failures that this program finds itself.
var (
	errView    = errors.New("the table holds the batch and a view of it failed")
	errJournal = errors.New("spool")
)

// troubleOf sorts a failure.
func troubleOf(err error) trouble {
	var slow net.Error
	exception, answered := ch.AsException(err)
	switch {
	case errors.Is(err, errJournal):
		return troubleSpool
	case errors.Is(err, errCopyDelivered):
		return troubleCopy
	case errors.Is(err, errView):
		return troubleView
	case answered:
		return answerOf(exception.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return troubleTimeout
	}
	return troubleNetwork
}

// errTableReadonly is what an insert into a table with the setting table_readonly gets; ch-go has no name for it yet.
const errTableReadonly proto.Error = 774

// answerOf sorts what ClickHouse says. Only what can be the fault of single rows is refused; a change of a column's type
// speaks in the same codes and is told apart by how many rows it hits. What is not listed is tried for some time
// before rows are blamed.
func answerOf(code proto.Error) trouble {
	switch code {
	case proto.ErrNetworkError, proto.ErrSocketTimeout, proto.ErrNoFreeConnection, proto.ErrAborted, proto.ErrQueryWasCancelled,
		proto.ErrQueryWasCancelledByClient, proto.ErrUnknownStatusOfInsert:
		return troubleNetwork
	case proto.ErrTimeoutExceeded, proto.ErrTooSlow:
		return troubleTimeout
	case proto.ErrTooManyParts, proto.ErrMemoryLimitExceeded, proto.ErrCannotAllocateMemory, proto.ErrTooManySimultaneousQueries,
		proto.ErrCannotScheduleTask, proto.ErrServerOverloaded, proto.ErrNotEnoughSpace, proto.ErrQuotaExceeded,
		proto.ErrTooManyMutations, proto.ErrDeadlockAvoided, proto.ErrDistributedTooManyPendingBytes, proto.ErrUserSessionLimitExceeded,
		proto.ErrCannotOpenFile, proto.ErrCannotReadFromFileDescriptor, proto.ErrCannotWriteToFileDescriptor, proto.ErrSystemError, proto.ErrS3Error:
		return troubleBusy
	case errTableReadonly, proto.ErrTableIsReadOnly, proto.ErrReadonly, proto.ErrNoZookeeper, proto.ErrKeeperException, proto.ErrUnexpectedZookeeperError,
		proto.ErrTooFewLiveReplicas, proto.ErrUnsatisfiedQuorumForPreviousWrite, proto.ErrTableIsBeingRestarted:
		return troubleReadonly
	case proto.ErrAccessDenied, proto.ErrAuthenticationFailed, proto.ErrDatabaseAccessDenied, proto.ErrUnknownUser, proto.ErrWrongPassword,
		proto.ErrRequiredPassword, proto.ErrIPAddressNotAllowed, proto.ErrUserExpired, proto.ErrResourceAccessDenied,
		proto.ErrSettingConstraintViolation: // the user's profile forbids what insertSettings ask for
		return troubleDenied
	case proto.ErrUnknownTable, proto.ErrUnknownDatabase, proto.ErrTableIsDropped, proto.ErrUnknownIdentifier, proto.ErrNoSuchColumnInTable,
		proto.ErrThereIsNoColumn, proto.ErrNotFoundColumnInBlock, proto.ErrNumberOfColumnsDoesntMatch, proto.ErrUnknownSetting,
		proto.ErrTypeMismatch, proto.ErrIllegalColumn:
		return troubleSchema
	case proto.ErrViolatedConstraint, proto.ErrCannotParseText, proto.ErrCannotParseInputAssertionFailed, proto.ErrCannotParseDate,
		proto.ErrCannotParseDatetime, proto.ErrCannotParseNumber, proto.ErrCannotConvertType, proto.ErrValueIsOutOfRangeOfDataType,
		proto.ErrArgumentOutOfBound, proto.ErrDecimalOverflow, proto.ErrUnknownElementOfEnum, proto.ErrCannotInsertNullInOrdinaryColumn,
		proto.ErrTooLargeStringSize, proto.ErrTooLargeArraySize, proto.ErrIncorrectData, proto.ErrIllegalDivision, proto.ErrFunctionThrowIfValueIsNonZero:
		return troubleRefused
	}
	return troubleOther
}
