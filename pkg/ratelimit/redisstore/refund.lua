-- Gives back units to the counters whose window still counts, or charges units
-- below zero to them, as far as is counted exactly; once.
--
-- KEYS  the counter of each rule, then the mark of the refund
-- ARGV  1 the instant in microseconds, empty for the server's own
--       2 units, not 0
--       3 the number of rules
--       4 the rules, packed; extra is the start of the window spent in, in ticks
--       5 the instant spent at
--       6 the instant from which the mark need not be kept
-- Returns 1, or 0 if this was refunded before
local MAX_SLIDING, MAX_FIXED = 4294967296, 9007199254740991 -- what is counted at most

local now, units, n = instant(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rules, at = rules_of(ARGV[4], n, 1), tonumber(ARGV[5])

-- A count, of most at most, that units were given back to, or charged to.
local function settled(count, most)
  if units > 0 then return max(0, count - units) end
  return count + min(-units, most - count)
end

-- The counter's value with units given back, or false if what was spent counts
-- no longer. Its instant stays: a refund moves no clock and drains nothing.
local function refunded(rule, key)
  local value = redis.call('GET', key)
  if not value then return false end
  local last, start, prev, cur = unpack_('<dddd', value)
  if not advance(rule, value, now) then return false end
  if rule.kind == 3 then
    local held = { last = floor(at / rule.tick), cur = rule.capacity, prev = 0, limit = rule.limit, window = rule.window }
    if rule.cur + rule.prev == 0 or rule.start ~= rule.extra or floor(now / rule.tick) >= drained(held) then
      return false
    end
    if units > cur then
      cur, prev = 0, 0
    elseif -units >= MAX_SLIDING - cur then
      cur, prev = MAX_SLIDING, 0
    else
      cur = cur - units
    end
    rule.last, rule.prev, rule.cur = last, prev, cur
    return pack('<dddd', last, start, prev, cur)
  end
  if rule.extra ~= rule.start and (rule.kind ~= 0 or rule.extra ~= rule.start - rule.window) then return false end
  local counted = start
  if rule.last < last then counted = rule.start end
  local most = rule.kind == 0 and MAX_SLIDING or MAX_FIXED
  if rule.extra == counted then
    cur = settled(cur, most)
  elseif rule.extra == counted - rule.window then
    prev = settled(prev, most)
  end
  return pack('<dddd', last, start, prev, cur)
end

local counting = false
for i = 1, n do
  local rule = rules[i]
  if rule.kind == 4 then
    if redis.call('EXISTS', KEYS[i]) == 1 then
      advance_log(rule, KEYS[i], now)
      rule.fits = rule.extra > rule.last - rule.window and rule.extra <= rule.last
    end
  else
    rule.told = refunded(rule, KEYS[i])
    rule.fits = rule.told
  end
  counting = counting or rule.fits
end

if not counting then return 1 end
if redis.call('EXISTS', KEYS[n + 1]) == 1 then return 0 end
redis.call('SET', KEYS[n + 1], '1', 'PX', max(1, floor((tonumber(ARGV[6]) - now + 999) / 1000)))
for i = 1, n do
  local rule = rules[i]
  if rule.fits and rule.kind == 4 then
    refund_log(rule, rule.extra, units)
  elseif rule.fits then
    redis.call('SETRANGE', KEYS[i], '0', rule.told)
    if rule.kind == 3 and units < 0 then -- it drains the longer
      redis.call('PEXPIRE', KEYS[i], keep(rule, now), 'GT')
    end
  end
end
return 1
