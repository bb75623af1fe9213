package backup

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"

	"carom/redirect"
)

// A Signer signs the manifests of a cluster's backups: HMAC-SHA256 under a key made from the cluster secret. A manifest holds the
// checksum of every table, so whoever alters a row has to know the secret.
type Signer struct{ key []byte }

// NewSigner takes the content of the cluster secret file, at least redirect.MinClusterSecret bytes.
func NewSigner(clusterSecret []byte) (*Signer, error) {
	key, err := redirect.DeriveKey(clusterSecret, "carom backup v1")
	return &Signer{key}, err
}

// sign is the signature of the bytes of a manifest, in hex.
func (s *Signer) sign(manifest []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(manifest)
	return hex.AppendEncode(nil, mac.Sum(nil))
}

// Trust tells whether the file is what a control process of this cluster has written, behind Verify. The error wraps ErrSecret where
// the secret of signer and sealer opens none of the keys, ErrAltered where it does and the signature is not right, and ErrUnsigned where
// there is none.
func (f *File) Trust(signer *Signer, sealer *redirect.Sealer) error {
	closed, err := f.openKeys(sealer)
	switch {
	case err != nil:
		return err
	case closed != nil:
		return fmt.Errorf("%w: %w", ErrAltered, closed)
	case f.signature == nil:
		return ErrUnsigned
	case !hmac.Equal(f.signature, signer.sign(f.manifest)):
		return ErrAltered
	}
	return nil
}

// A sealedKey is what Trust needs of a row of keys.
type sealedKey struct {
	Brand  uint32           `json:"brand_id"`
	Kind   redirect.KeyKind `json:"kind"`
	ID     string           `json:"key_id"`
	Sealed []byte           `json:"sealed"`
}

// openKeys tries all keys. closed says of one that does not open, though others do: the secret is the right one.
func (f *File) openKeys(sealer *redirect.Sealer) (closed, err error) {
	keys, held := f.table("keys")
	if !held {
		return nil, nil
	}
	opened := false
	err = f.each(keys, reflect.TypeFor[sealedKey](), func(row reflect.Value) error {
		k := row.Interface().(*sealedKey)
		if len(k.Sealed) == 0 {
			return nil // retired: its secret is gone
		}
		if _, err := sealer.Open(k.Kind, k.Brand, k.ID, k.Sealed); err != nil {
			closed = err
		} else {
			opened = true
		}
		return nil
	})
	if err == nil && closed != nil && !opened {
		err = fmt.Errorf("%w: %w", ErrSecret, closed)
	}
	return closed, err
}
