package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A board is what a dashboard says, without what Grafana wants said of every panel.
type board struct {
	Title string // after "Viva: "
	About string
	Rows  []struct {
		Title  string
		Panels []panel
	}
}

// A panel is one query, or several of one unit.
type panel struct {
	Title   string
	Kind    string // stat, table or, unless said, timeseries
	Unit    string // Grafana's name of it
	Width   int    // of 24; a third unless said, a sixth for a stat
	Stack   bool
	Normal  string // what is usual, and what it means if it is not
	Runbook string // the page to open then
	Orange  *float64
	Red     *float64 // from here on; below green, where that is given
	Green   *float64
	Queries []query
}

type query struct {
	Expr   string
	Legend string
}

const (
	runbook = "https://github.com/viva/rate-limiter/blob/main/docs/runbook/"
	columns = 24
)

type object map[string]any

// source is the Prometheus chosen above the dashboard.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// json writes one panel a line: a change shows as the panels it changes.
func (b *board) json(name string) ([]byte, error) {
	panels := b.panels()
	lines := make([]string, len(panels))
	for i, p := range panels {
		text, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		lines[i] = "    " + string(text)
	}
	const placeholder = "the panels"
	frame, err := json.MarshalIndent(b.frame(name, placeholder), "", "  ")
	if err != nil {
		return nil, err
	}
	return []byte(strings.Replace(string(frame), `"`+placeholder+`"`, "[\n"+strings.Join(lines, ",\n")+"\n  ]", 1) + "\n"), nil
}

func (b *board) frame(name string, panels any) object {
	links := []object{{
		"type": "dashboards", "title": "Viva", "tags": []string{"viva"}, "icon": "", "tooltip": "",
		"asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false,
	}, {
		"type": "link", "title": "Runbook", "url": runbook + "README.md", "tags": []string{}, "icon": "doc", "tooltip": "",
		"asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": true,
	}}
	return object{
		"uid": "viva-" + name, "title": "Viva: " + b.Title, "description": b.About, "tags": []string{"viva"},
		"schemaVersion": 39, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "30s", "timezone": "",
		"time": object{"from": "now-1h", "to": "now"}, "links": links, "panels": panels, "annotations": object{"list": []any{}},
		"templating": object{"list": []object{{
			"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
		}, {
			"name": "instance", "label": "Instance", "type": "query", "datasource": source, "refresh": 2, "sort": 1,
			"query":      object{"qryType": 1, "query": "label_values(viva_build_info, instance)", "refId": "instances"},
			"definition": "label_values(viva_build_info, instance)",
			"multi":      true, "includeAll": true, "current": object{"text": []string{"All"}, "value": []string{"$__all"}},
		}}},
	}
}

// panels lays the panels out from left to right, row by row.
func (b *board) panels() (list []object) {
	y := 0
	add := func(x, width, height int, panel object) {
		panel["id"] = len(list) + 1
		panel["gridPos"] = object{"x": x, "y": y, "w": width, "h": height}
		list = append(list, panel)
	}
	for _, row := range b.Rows {
		add(0, columns, 1, object{"type": "row", "title": row.Title, "collapsed": false, "panels": []any{}})
		y++
		x, tallest := 0, 0
		for i := range row.Panels {
			p := &row.Panels[i]
			width, height := p.size()
			if x+width > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			add(x, width, height, p.object())
			x, tallest = x+width, max(tallest, height)
		}
		y += tallest
	}
	return list
}

func (p *panel) size() (width, height int) {
	width, height = columns/3, 8
	if p.Kind == "stat" {
		width, height = columns/6, 4
	}
	if p.Width > 0 {
		width = p.Width
	}
	return width, height
}

func (p *panel) object() object {
	kind := p.Kind
	if kind == "" {
		kind = "timeseries"
	}
	defaults := object{"unit": p.Unit, "min": 0, "color": object{"mode": "palette-classic"}, "custom": p.custom()}
	if steps := p.steps(); len(steps) > 1 {
		defaults["thresholds"] = object{"mode": "absolute", "steps": steps}
		if kind == "stat" {
			defaults["color"] = object{"mode": "thresholds"}
		}
	}
	targets := make([]object, len(p.Queries))
	for i, q := range p.Queries {
		targets[i] = object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend, "editorMode": "code"}
		targets[i]["instant"], targets[i]["range"] = kind == "table", kind != "table"
		if kind == "table" {
			targets[i]["format"] = "table"
		}
	}
	made := object{
		"type": kind, "title": p.Title, "description": p.description(), "datasource": source, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []any{}}, "options": p.options(),
	}
	if kind == "table" {
		defaults["links"] = []object{{"title": "Runbook", "url": runbook + "${__data.fields.runbook}.md", "targetBlank": true}}
		hidden := object{"Time": true, "Value": true, "__name__": true, "alertstate": true}
		made["transformations"] = []object{{"id": "organize", "options": object{"excludeByName": hidden}}}
	}
	return made
}

func (p *panel) description() string {
	return fmt.Sprintf("%s\n\nOtherwise: [%s](%s%s.md)", strings.TrimSpace(p.Normal), p.Runbook, runbook, p.Runbook)
}

// steps are the colors from the lowest value up.
func (p *panel) steps() []object {
	base := "green"
	if p.Green != nil {
		base = "red"
	}
	steps := []object{{"color": base, "value": nil}}
	for _, step := range []struct {
		color string
		from  *float64
	}{{"orange", p.Orange}, {"red", p.Red}, {"green", p.Green}} {
		if step.from != nil {
			steps = append(steps, object{"color": step.color, "value": *step.from})
		}
	}
	return steps
}

func (p *panel) custom() object {
	switch p.Kind {
	case "stat":
		return object{}
	case "table":
		return object{"align": "auto", "inspect": false}
	}
	custom := object{"lineWidth": 1, "fillOpacity": 0, "showPoints": "never", "spanNulls": false}
	if p.Stack {
		custom["fillOpacity"], custom["stacking"] = 30, object{"mode": "normal", "group": "A"}
	}
	if p.Orange != nil || p.Red != nil {
		custom["thresholdsStyle"] = object{"mode": "dashed"}
	}
	return custom
}

func (p *panel) options() object {
	switch p.Kind {
	case "stat":
		colored := "none"
		if len(p.steps()) > 1 {
			colored = "background"
		}
		reduced := object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
		return object{
			"reduceOptions": reduced, "colorMode": colored, "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto",
			"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
		}
	case "table":
		return object{"showHeader": true, "cellHeight": "sm", "frameIndex": 0}
	default:
		legend := object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}}
		return object{"legend": legend, "tooltip": object{"mode": "multi", "sort": "desc"}}
	}
}
