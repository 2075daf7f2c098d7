//go:build race

package userservice_test

// raceEnabled tells whether the tests run with the race detector.
func raceEnabled() string { return "true" }
