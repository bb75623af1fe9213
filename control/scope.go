package control

import (
	"errors"
	"slices"
)

// Errors of what a scope does not reach. An object of a brand that it may not see is not found.
var (
	ErrNotFound  = errors.New("not found")
	ErrForbidden = errors.New("not allowed to this token")
)

// A Role says what a token may do; each includes those below it.
type Role string

// The roles, as the tokens table spells them.
const (
	Admin   Role = "admin"   // makes keys and tokens
	Editor  Role = "editor"  // imports and disables
	Analyst Role = "analyst" // reads links and reports, never keys
)

func (r Role) rank() int {
	return slices.Index([]Role{Analyst, Editor, Admin}, r)
}

// Includes reports whether r may do what needs the role other.
func (r Role) Includes(other Role) bool { return r.rank() >= other.rank() }

// A Scope is what a token may do and whose objects it may see. To everybody else a brand's objects do not exist.
type Scope struct {
	Role   Role
	All    bool     // every brand, those to come included
	Brands []string // keys of the brands, when All is false
	Token  string   // id of the token, empty for the process itself
}

// LocalScope is that of the process itself.
func LocalScope() Scope { return Scope{Role: Admin, All: true} }

// Sees reports whether objects of the brand with this key exist for s.
func (s Scope) Sees(brand string) bool { return s.All || slices.Contains(s.Brands, brand) }
