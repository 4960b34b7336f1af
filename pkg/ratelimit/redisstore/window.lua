-- The arithmetic of pkg/ratelimit/internal/counter, of which this is the twin:
-- the same integers in the same order. Numbers are doubles, and no sum or
-- product here exceeds 2^53, so all of them are exact. This text precedes each
-- script.
--
-- A counter is a string of four little-endian doubles:
--   last, start  ticks since 1970: the latest spending, the start of its window
--   prev, cur    units spent in the window before, and in this one
-- A rule is packed by Go as five doubles, and a calendar's as nine:
--   kind    0 sliding, 1 fixed, 2 calendar
--   limit   units
--   window  ticks; 0 for a calendar
--   tick    microseconds
--   extra   what the script at hand needs of each rule
--   bounds  ticks: the starts of the previous, current and next period, and
--           the end of the next
local floor, max, pack, unpack_ = math.floor, math.max, struct.pack, struct.unpack
local ONE = 1048576 -- the denominator of the previous window's weight

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

-- Sets the rule's last, start, prev and cur to the state of its counter as it
-- stands now. Returns false if its calendar does not reach now.
local function advance(rule, value, now)
  local last, start, prev, cur = 0, 0, 0, 0
  if value then last, start, prev, cur = unpack_('<dddd', value) end
  local t = floor(now / rule.tick)
  local first, stop = window_of(rule, t)
  if not first then return false end
  if t < last then
    local last_first = window_of(rule, last)
    if not last_first or last - t > stop - first then
      start = first
    else
      t, first = last, last_first
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

local function used(rule)
  if rule.kind ~= 0 or rule.prev == 0 then return rule.cur end
  local left = rule.window - (rule.last - rule.start)
  local weight = floor((left * ONE + rule.window - 1) / rule.window)
  return floor((rule.prev * weight + ONE - 1) / ONE) + rule.cur
end

local function packed(rule)
  return pack('<dddd', rule.last, rule.start, rule.prev, rule.cur)
end

-- The milliseconds from now that the counter must be kept.
local function keep(rule, now)
  local start, stop = window_of(rule, rule.last)
  local window = stop - start
  if rule.kind == 0 then stop = stop + window end
  local forget = stop * rule.tick + max(60000000, floor(window * rule.tick / 10))
  return floor((forget - now + 999) / 1000)
end

-- The n rules packed in a string.
local function rules_of(list, n)
  local rules, at = {}, 1
  for i = 1, n do
    local rule = {}
    rule.kind, rule.limit, rule.window, rule.tick, rule.extra, at = unpack_('<ddddd', list, at)
    if rule.kind == 2 then
      local a, b, c, d
      a, b, c, d, at = unpack_('<dddd', list, at)
      rule.bounds = { a, b, c, d }
    end
    rules[i] = rule
  end
  return rules
end
