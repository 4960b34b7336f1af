package config

import "strings"

// didYouMean names the candidate that is a slip of the finger away, as the end of
// a sentence; where there is none, it ends the sentence otherwise.
func didYouMean(name string, candidates []string) string {
	best, shortest := "", len(strings.TrimPrefix(name, envPrefix))/4+2
	for _, candidate := range candidates {
		if d := distance(name, candidate); d < shortest {
			best, shortest = candidate, d
		}
	}
	if best == "" {
		return "; `viva config` lists them all"
	}
	return "; did you mean " + best + "?"
}

// distance is the number of bytes to insert, delete or replace to make b of a
// (Levenshtein, by the algorithm of Wagner and Fischer with one row kept).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
