package workload

import (
	"math"
	"slices"
)

// Median returns the middle of the values, the mean of the two for an even number, NaN for none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// A Series holds what one limiter measured in each round, beside what ours measured in the same round. Their ratio in
// a round suffers less from a noisy machine than the ratio of two medians.
type Series struct {
	Values, Ours []float64
}

// Add adds one round.
func (s *Series) Add(value, ours float64) {
	s.Values, s.Ours = append(s.Values, value), append(s.Ours, ours)
}

// Median returns the median of the values.
func (s *Series) Median() float64 {
	if s == nil {
		return math.NaN()
	}
	return Median(s.Values)
}

// Ratio returns the median over the rounds of ours divided by the value: below 1, ours is the smaller.
func (s *Series) Ratio() float64 {
	if s == nil {
		return math.NaN()
	}
	ratios := make([]float64, len(s.Values))
	for i, value := range s.Values {
		ratios[i] = s.Ours[i] / value
	}
	return Median(ratios)
}
