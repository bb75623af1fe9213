// Package limit makes those wait who ask too much: strangers who guess tokens, and tokens that send more requests than others
// leave room for. It only counts; who is asked answers.
package limit
