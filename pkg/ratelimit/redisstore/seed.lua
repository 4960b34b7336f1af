-- Raises counters of calendars to at least so much in the period that they count
-- in now. One that is there afterwards is held: there is no other mark of it.
--
-- KEYS  the counter of each rule
-- ARGV  1 the instant in microseconds, empty for the server's own
--       2 the number of rules
--       3 the rules, packed; extra is the start of the period meant, in ticks
--       4 units for each rule, as little-endian doubles
-- Returns 1
local now, n = instant(ARGV[1]), tonumber(ARGV[2])
local rules, at = rules_of(ARGV[3], n, 1), 1

for i = 1, n do
  local rule, units = rules[i], 0
  local value = redis.call('GET', KEYS[i])
  units, at = unpack_('<d', ARGV[4], at)
  if advance(rule, value, now) and rule.start == rule.extra and (rule.cur < units or not holds(rule, value)) then
    rule.fits, rule.cur = true, units
  end
end

for i = 1, n do
  local rule = rules[i]
  if rule.fits then save(rule, KEYS[i], pack('<dddd', rule.last, rule.start, rule.prev, rule.cur), now) end
end
return 1
