package ingest

const (
	millisPerHour = 3600 * 1000
	millisPerWeek = 7 * 24 * millisPerHour
	// firstMonday is 1970-01-05 in Unix milliseconds.
	firstMonday = 4 * 24 * millisPerHour
)

// weekOf numbers the partition, toMonday(ts), that a moment falls into. Moments before 1970 do not occur: a click id begins
// in 2024.
func weekOf(millis int64) int64 { return (millis - firstMonday) / millisPerWeek }

// hourOf is the start of the hour in Unix seconds.
func hourOf(millis int64) int64 { return millis / millisPerHour * 3600 }
