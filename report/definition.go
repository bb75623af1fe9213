package report

// A definition says what a report counts and by what it may be grouped.
type definition struct {
	facts    string   // the view it reads, called f in SQL
	span     string   // column of facts that from and to bound: day or hour
	keys     []column // what it may be grouped by
	by       []string // what it is grouped by unless asked otherwise
	apart    []string // keys whose values no row adds together, of totals neither
	measures []column
	rank     column // what puts a row into the top, the highest first, and how people call it
	perBrand bool   // facts have a brand_id and a currency
}

// A column has a name, for people, and an expression over facts f, in which earlier columns may stand by name.
type column struct{ name, sql string }

// Names are the reports there are, in the order of their usual reading.
func Names() []string {
	return []string{"influencers", "campaigns", "utm", "geo", "conversions", "ledger"}
}

func define(name string) (definition, bool) {
	switch name {
	case "influencers":
		return perBrand("influencer_facts", dayKeys("f.day"), creatorMeasures(),
			"brand", "campaign", "influencer", "tier", "platform"), true
	case "campaigns":
		return perBrand("influencer_facts", dayKeys("f.day"), creatorMeasures(), "brand", "campaign"), true
	case "utm":
		d := perBrand("utm_facts", append([]column{{"hour", "f.hour"}}, dayKeys("toDate(f.hour)")...), clickMeasures(),
			"brand", "campaign", "influencer", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
		d.span = "hour"
		return d, true
	case "geo":
		return perBrand("geo_facts", dayKeys("f.day"), clickMeasures(),
			"brand", "campaign", "influencer", "country", "region", "city"), true
	case "conversions":
		d := perBrand("conversion_facts", dayKeys("f.day"), conversionMeasures(),
			"brand", "campaign", "influencer", "event", "status", "signed")
		d.apart = append(d.apart, "event", "status", "signed")
		d.rank = column{"conversions", "count()"}
		return d, true
	case "ledger":
		return definition{
			facts:    "report_ledger",
			span:     "hour",
			keys:     append([]column{{"hour", "f.hour"}, {"node", "f.node"}}, dayKeys("toDate(f.hour)")...),
			by:       []string{"hour", "node"},
			measures: ledgerMeasures(),
			rank:     column{"difference, then accepted", "(sum(f.accepted) - sum(f.stored + f.waiting + f.dropped) != 0, sum(f.accepted))"},
		}, true
	}
	return definition{}, false
}

// conflicts is what the conversions report has behind its count of them: each with what stands and what was refused.
func conflicts() definition {
	d := perBrand("conflict_facts", dayKeys("f.day"), []column{{"times", "sum(f.times)"}},
		"kind", "brand", "campaign", "influencer", "event", "txid", "ref_txid", "signed", "amount", "other_amount", "other_currency")
	d.apart = append(d.apart, "kind")
	d.rank = column{"times", "sum(f.times)"}
	return d
}

// perBrand is a report of brands' numbers, whose money no row adds across currencies.
func perBrand(facts string, times, measures []column, by ...string) definition {
	d := definition{
		facts: facts, span: "day", keys: times, by: by, measures: measures, perBrand: true,
		apart: []string{"currency"}, rank: column{"gross", "sum(f.gross)"},
	}
	for _, name := range by {
		d.keys = append(d.keys, column{name, "f." + name})
	}
	return d
}

// dayKeys are the spans of time that reports can be grouped by, from the expression of a day.
func dayKeys(day string) []column {
	return []column{{"day", day}, {"week", "toMonday(" + day + ")"}, {"month", "toStartOfMonth(" + day + ")"}}
}

// The four counts stand side by side in every click report.
func counts() []column {
	return []column{
		{"gross", "sum(f.gross)"},
		{"valid", "sum(f.valid)"},
		{"unique", "uniqCombined64Merge(f.visitors)"},
		{"billable", "sum(f.billable)"},
	}
}

func clickMeasures() []column {
	return append(counts(), column{"conversions", "sum(f.conversions)"}, column{"revenue", "sum(f.revenue)"})
}

// The derived ones are those of the view report_influencers.
func creatorMeasures() []column {
	return append(counts(),
		column{"previews", "sum(f.previews)"},
		column{"conversions", "sum(f.conversions)"},
		column{"revenue", "sum(f.revenue)"},
		column{"refunds", "sum(f.refunds)"},
		column{"net_revenue", "revenue - refunds"},
		column{"commission", "sum(f.commission)"},
		column{"fee", "sum(f.fee)"},
		column{"product_cost", "sum(f.product_cost)"},
		column{"cost", "commission + fee + product_cost"},
		column{"roi", "if(cost = 0, NULL, toFloat64(net_revenue - cost) / toFloat64(cost))"},
		column{"epc", "if(valid = 0, NULL, toDecimal128(round(toDecimal128(net_revenue, 8) / greatest(valid, 1), 4), 4))"},
		column{"conversion_rate", "if(valid = 0, NULL, conversions / valid)"},
		column{"new_customers", "sum(f.new_customers)"},
	)
}

func conversionMeasures() []column {
	return []column{
		{"conversions", "count()"},
		{"amount", "sum(f.amount)"},
		{"conflicts", "sum(f.conflicts)"},
		{"median_hours_to_convert", "quantileExactInclusiveOrNull(0.5)(f.hours_to_convert)"},
	}
}

func ledgerMeasures() []column {
	return []column{
		{"accepted", "sum(f.accepted)"},
		{"stored", "sum(f.stored)"},
		{"waiting", "sum(f.waiting)"},
		{"dropped", "sum(f.dropped)"},
		{"dropped_reasons", "sumMap(f.dropped_reasons)"},
		{"balanced", "toBool(accepted = stored + waiting + dropped)"},
	}
}

func (d definition) key(name string) (column, bool) {
	for _, k := range d.keys {
		if k.name == name {
			return k, true
		}
	}
	return column{}, false
}

func (d definition) keyNames() []string {
	names := make([]string, len(d.keys))
	for i, k := range d.keys {
		names[i] = k.name
	}
	return names
}
