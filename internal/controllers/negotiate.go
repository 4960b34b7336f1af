package controllers

import (
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// negotiate chooses the media type of the answer among those that the
// operation documents: the one the caller likes best, JSON among equals.
func negotiate(accept []string, op *huma.Operation) (string, error) {
	if len(accept) == 0 {
		return mediaJSON, nil
	}
	offers := []string{mediaJSON}
	for status, response := range op.Responses {
		if strings.HasPrefix(status, "2") && response.Content[mediaCSV] != nil {
			offers = append(offers, mediaCSV)
		}
	}
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	if best == "" {
		return "", apierror.New(apierror.CodeNotAcceptable, "The answer comes as "+strings.Join(offers, " or "),
			apierror.Field{In: apierror.Header, Name: "Accept", Detail: "must allow one of: " + strings.Join(offers, ", ")})
	}
	return best, nil
}

// quality gives the weight of a media type by RFC 9110, section 12.5.1: the
// most specific range that covers it decides.
func quality(accept []string, media string) float64 {
	kind, _, _ := strings.Cut(media, "/")
	ranges := []string{"*/*", kind + "/*", media}
	weight, specific := 0.0, -1
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			if i := slices.Index(ranges, strings.ToLower(strings.TrimSpace(name))); i >= specific && i >= 0 {
				weight, specific = weightOf(parameters), i
			}
		}
	}
	return weight
}

func weightOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || q < 0 || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}
