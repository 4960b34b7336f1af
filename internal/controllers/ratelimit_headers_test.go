package controllers

// maxStructured is the largest integer of a structured field (RFC 9651).
const maxStructured = 999_999_999_999_999
