// Package tests holds what looks at the whole house: the rules of its architecture, and, under the build tag
// `journeys`, black-box journeys through the built programs against real servers and gateways.
//
// It stands outside the floors: nothing imports it.
package tests
