-- The arithmetic of pkg/ratelimit/internal/counter, of which this is the twin:
-- the same integers in the same order. Numbers are doubles, and no sum or
-- product here exceeds 2^53, so all of them are exact. This text precedes each
-- script.
--
-- A counter is a string of four little-endian doubles:
--   last, start  ticks since 1970: the latest spending, the start of its window
--   prev, cur    units spent in the window before, and in this one; of a GCRA
--                the numerator of the level's fraction, and its whole units
-- A log is another kind of string: see log.lua.
-- A rule is packed by Go as five doubles, a calendar's as nine, a GCRA's as six:
--   kind    0 sliding, 1 fixed, 2 calendar, 3 GCRA, 4 log
--   limit   units
--   window  ticks; 0 for a calendar
--   tick    microseconds
--   extra   what the script at hand needs of each rule
--   bounds  ticks: the starts of the previous, current and next period, and
--           the end of the next
--   burst   units
local floor, max, min, pack, unpack_ = math.floor, math.max, math.min, struct.pack, struct.unpack
local ONE = 1048576 -- the denominator of the previous window's weight
local HORIZON = 9007199254740991 -- the last instant, in 2255

-- The instant decided at in microseconds: the server's, but in tests.
local function instant(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function window_of(rule, t)
  if rule.kind ~= 2 then
    local start = t - t % rule.window
    return start, start + rule.window
  end
  for i = 2, 4 do
    if t < rule.bounds[i] then
      if t < rule.bounds[i - 1] then return nil end
      return rule.bounds[i - 1], rule.bounds[i]
    end
  end
  return nil
end

-- The quotient and the remainder of a * b / c, for a < c and all below 2^33.
local function mul_div(a, b, c)
  local high = floor(b / 65536)
  local product = a * high
  local upper = floor(product / c)
  product = (product - upper * c) * 65536 + a * (b - high * 65536)
  local lower = floor(product / c)
  return upper * 65536 + lower, product - lower * c
end

-- Makes a GCRA's state, read from its counter, that of the tick t.
local function drain(rule, t)
  if rule.cur + rule.prev == 0 then
    rule.last, rule.start = t, t
    return
  end
  if t < rule.last then
    if rule.last - t > rule.window then
      rule.last, rule.start = t, t
      return
    end
    t = rule.last
  end
  local elapsed = t - rule.last
  rule.last = t
  local windows = floor(elapsed / rule.window)
  if windows > floor(rule.cur / rule.limit) then
    rule.start, rule.prev, rule.cur = t, 0, 0
    return
  end
  local units, fraction = mul_div(elapsed % rule.window, rule.limit, rule.window)
  local cur, prev = rule.cur - windows * rule.limit - units, rule.prev - fraction
  if prev < 0 then cur, prev = cur - 1, prev + rule.window end
  if cur < 0 or cur + prev == 0 then
    rule.start, prev, cur = t, 0, 0
  end
  rule.prev, rule.cur = prev, cur
end

-- The tick at which a GCRA's level has drained away.
local function drained(rule)
  local windows = floor(rule.cur / rule.limit)
  local ticks, rest = mul_div(rule.cur % rule.limit, rule.window, rule.limit)
  local fraction = floor((rest + rule.prev + rule.limit - 1) / rule.limit)
  return min(HORIZON, rule.last + windows * rule.window + ticks + fraction)
end

-- Sets the rule's last, start, prev and cur to the state of its counter as it
-- stands now, and kept if its value is kept long enough for that. Returns false
-- if its calendar does not reach now.
local function advance(rule, value, now)
  local last, start, prev, cur = 0, 0, 0, 0
  if value then last, start, prev, cur = unpack_('<dddd', value) end
  local t = floor(now / rule.tick)
  if rule.kind == 3 then
    rule.last, rule.start, rule.prev, rule.cur = last, start, prev, cur
    drain(rule, t)
    return true
  end
  local first, stop = window_of(rule, t)
  if not first then return false end
  rule.kept = value and first == start
  if t < last then
    local last_first = window_of(rule, last)
    if not last_first or last - t > stop - first then
      start, rule.kept = first, false
    else
      t, first = last, last_first
      rule.kept = first == start
    end
  end
  if first ~= start then
    if rule.kind == 0 and first == start + rule.window then
      prev, cur = cur, 0
    else
      prev, cur = 0, 0
    end
  end
  rule.last, rule.start, rule.prev, rule.cur = t, first, prev, cur
  return true
end

-- Whether an advanced rule, but a GCRA, still counts what its counter's value
-- did: in its window, or moved to where a clock is that went back too far.
local function holds(rule, value)
  if not value then return false end
  local last, start = unpack_('<dd', value)
  return rule.start == start or rule.last < last
end

-- The units that an advanced rule counts, rounded up.
local function used(rule)
  if rule.prev == 0 or rule.kind == 4 then return rule.cur end
  if rule.kind == 3 then return rule.cur + 1 end
  local left = rule.window - (rule.last - rule.start)
  local weight = floor((left * ONE + rule.window - 1) / rule.window)
  return floor((rule.prev * weight + ONE - 1) / ONE) + rule.cur
end

-- The milliseconds from now that the counter must be kept.
local function keep(rule, now)
  local window, kind = rule.window, rule.kind
  local stop = rule.last + window
  if kind < 2 then
    stop = rule.start + window
    if kind == 0 then stop = stop + window end
  elseif kind == 2 then
    local start
    start, stop = window_of(rule, rule.last)
    window = stop - start
  elseif kind == 3 then
    stop = drained(rule)
  end
  local forget = min(stop * rule.tick, HORIZON) + max(60000000, floor(window * rule.tick / 10))
  return floor((forget - now + 999) / 1000)
end

-- Writes an advanced rule's state to its key.
local function save(rule, key, state, now)
  if rule.kept then
    redis.call('SETRANGE', key, '0', state) -- a third of the cost of SET with a time
  else
    redis.call('SET', key, state, 'PX', keep(rule, now))
  end
end

-- The n rules packed in a string from a place on, and where they end.
local function rules_of(text, n, at)
  local rules = {}
  for i = 1, n do
    local kind, limit, window, tick, extra
    kind, limit, window, tick, extra, at = unpack_('<ddddd', text, at)
    local rule = { -- with all that it will ever hold: a table that grows costs more than it
      kind = kind, limit = limit, capacity = limit, window = window, tick = tick, extra = extra,
      last = 0, start = 0, prev = 0, cur = 0, kept = false, fits = false, told = false,
    }
    if kind == 2 then
      local a, b, c, d
      a, b, c, d, at = unpack_('<dddd', text, at)
      rule.bounds = { a, b, c, d }
    elseif kind == 3 then
      rule.capacity, at = unpack_('<d', text, at)
    end
    rules[i] = rule
  end
  return rules, at
end
