//go:build !race

package userservice

// underRace tells whether the tests run with the race detector.
const underRace = false
