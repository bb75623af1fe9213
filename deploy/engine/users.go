package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The three users of the engine.
const (
	Admin   = "carom_admin"   // everything; control and migrations
	Edge    = "carom_edge"    // writes raw rows, reads reference data and what verifies a batch
	Analyst = "carom_analyst" // reads all but keys, tokens and what control keeps of its users, within a quota
)

// UsersFile holds the passwords in the data directory, unless the caller brought them.
const UsersFile = "users.json"

// Users holds the passwords. They are 130 random bits each, so the engine's file keeps a plain SHA-256 of them.
type Users struct {
	Admin   string `json:"carom_admin"`
	Edge    string `json:"carom_edge"`
	Analyst string `json:"carom_analyst"`
}

// NewUsers makes random passwords.
func NewUsers() Users {
	return Users{Admin: rand.Text(), Edge: rand.Text(), Analyst: rand.Text()}
}

// Password of a user; the name is one of the constants above.
func (u Users) Password(user string) string {
	switch user {
	case Admin:
		return u.Admin
	case Edge:
		return u.Edge
	case Analyst:
		return u.Analyst
	}
	panic("engine: no user " + user)
}

// ReadUsers reads the passwords that a data directory holds.
func ReadUsers(dir string) (Users, error) {
	path := filepath.Join(dir, UsersFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Users{}, fmt.Errorf("read engine passwords: %w", err)
	}
	var users Users
	if err := json.Unmarshal(data, &users); err != nil {
		return Users{}, fmt.Errorf("read engine passwords %s: %w; remove the file to have new ones made", path, err)
	}
	if users.Admin == "" || users.Edge == "" || users.Analyst == "" {
		return Users{}, fmt.Errorf("read engine passwords %s: one is empty; remove the file to have new ones made", path)
	}
	return users, nil
}

// loadUsers is ReadUsers, but makes and keeps passwords where there are none yet.
func loadUsers(dir string) (Users, error) {
	users, err := ReadUsers(dir)
	if errors.Is(err, fs.ErrNotExist) {
		users = NewUsers()
		return users, saveUsers(dir, users)
	}
	return users, err
}

func saveUsers(dir string, users Users) error {
	data, err := json.MarshalIndent(users, "", "  ")
	if err != nil {
		return fmt.Errorf("encode engine passwords: %w", err)
	}
	return writePrivate(filepath.Join(dir, UsersFile), append(data, '\n'))
}

// writePrivate replaces a file as a whole, readable by its owner only.
func writePrivate(path string, data []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func sha256Hex(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
