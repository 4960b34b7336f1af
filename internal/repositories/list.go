package repositories

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// The fields each list may be sorted by. The first is the default, descending.
// Names are in the order of their code points.
var (
	KeyspaceSorts    = []string{"created_at", "name"}
	PlanSorts        = []string{"created_at", "name"}
	PlanVersionSorts = []string{"number"}
	OwnerSorts       = []string{"created_at", "updated_at", "name"}
	KeySorts         = []string{"created_at", "updated_at", "name"}
	TokenSorts       = []string{"created_at", "name"}
	AuditSorts       = []string{"at"}
	ViolationSorts   = []string{"minute"}
	AlertRuleSorts   = []string{"created_at", "updated_at", "name"}
	AlertSorts       = []string{"created_at"}
	MaintenanceSorts = []string{"created_at", "name"}
)

// list gives the rows selected that come after page.After, at most page.Limit
// of them: a caller that wants to know whether there are more asks for one
// more. The callers of the API have had Sort checked against sorts; another
// one is a fault.
func list[T any](ctx context.Context, db *DB, noun string, page models.Page, sorts []string, s scope) ([]T, error) {
	column, descending := strings.CutPrefix(page.Sort, "-")
	if page.Sort == "" {
		column, descending = sorts[0], true
	}
	if !slices.Contains(sorts, column) {
		return nil, fmt.Errorf("list of %ss: no sort %q, only %q", noun, column, sorts)
	}
	direction, beyond := "", ">"
	if descending {
		direction, beyond = " DESC", "<"
	}
	if page.Limit == 0 {
		page.Limit = models.DefaultPageLimit
	}
	var after []any
	if page.After != nil {
		var err error
		if after, err = position(column, page.After); err != nil {
			return nil, err
		}
	}
	var rows []T
	err := db.do(ctx, noun, func(g *gorm.DB) error {
		g = s(g)
		if after != nil {
			g = g.Where(fmt.Sprintf("(%s, id) %s (?, ?)", column, beyond), after...)
		}
		return g.Order(column + direction).Order("id" + direction).Limit(page.Limit).Find(&rows).Error
	})
	return rows, err
}

// position gives the values of a place in a list, as the columns hold them.
func position(column string, p *models.Position) ([]any, error) {
	id, err := models.ParseID[string](p.ID)
	if err != nil {
		return nil, badPosition(err)
	}
	var value any
	switch column {
	case "at", "minute", "created_at", "updated_at":
		value, err = time.Parse(time.RFC3339Nano, p.Value)
	case "number":
		value, err = strconv.ParseInt(p.Value, 10, 32)
	default:
		value = p.Value
		if !storable(p.Value) {
			err = fmt.Errorf("a %s of no stored text", column)
		}
	}
	if err != nil {
		return nil, badPosition(err)
	}
	return []any{value, id}, nil
}

func badPosition(cause error) error {
	return apierror.Invalid(apierror.Field{
		In: apierror.Query, Name: "cursor", Detail: "must be a cursor that this list gave",
	}).Wrap(cause)
}

// storable tells whether both engines can hold a text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// withPrefix selects by the beginning of a name, by range so that an index
// serves it. U+10FFFF is no character: it sorts after any that a name holds.
func withPrefix(g *gorm.DB, prefix string) *gorm.DB {
	return g.Where("name >= ? AND name < ?", prefix, beyondPrefix(prefix))
}

func beyondPrefix(prefix string) string { return prefix + string(utf8.MaxRune) }

// all selects every row.
func all(g *gorm.DB) *gorm.DB { return g }
