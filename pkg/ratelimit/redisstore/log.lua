-- Sliding logs: the twin of pkg/ratelimit/internal/counter/log.go. This text
-- follows counter.lua where there are logs.
--
-- A log is a string that begins with three little-endian doubles:
--   last  the tick of the latest spending
--   base  the sum of what was spent before the first mark
--   dead  how many marks at the front are no longer part of the log
-- followed by a mark for each tick, of two:
--   tick  since 1970
--   sum   of all units spent up to it
-- A long log is not read: its marks are looked up where they are, and new ones
-- appended.
local HEADER, MARK = 24, 16
local MAX_LOG = 10000 -- the units that a log holds at most
local SHORT = HEADER + 32 * MARK -- the longest string that is read and written whole

-- The mark i, from 0, as tick and sum.
local function mark(log, i)
  local at = HEADER + (log.dead + i) * MARK
  if at + MARK <= #log.text then return unpack_('<dd', log.text, at + 1) end
  return unpack_('<dd', redis.call('GETRANGE', log.key, at, at + MARK - 1))
end

-- The first i from low to high - 1 for which is(tick, sum) holds, or high.
local function search(log, low, high, is)
  local step = 1
  while low < high do
    local probe = min(low + step, high) - 1
    if is(mark(log, probe)) then
      high = probe
      break
    end
    low, step = probe + 1, step * 2
  end
  while low < high do
    local middle = floor((low + high) / 2)
    if is(mark(log, middle)) then high = middle else low = middle + 1 end
  end
  return low
end

-- Reads the log at the key and sets the rule's state as it stands now: last is
-- the tick decided at, cur the units that count, and prev and start zero.
local function advance_log(rule, key, now)
  local log = { key = key, text = redis.call('GETRANGE', key, 0, SHORT - 1), dead = 0, size = 0, shift = 0, sum = 0, all = 0 }
  local last, base = 0, 0
  if #log.text > 0 then
    local length = #log.text
    if length == SHORT then length = redis.call('STRLEN', key) end
    last, base, log.dead = unpack_('<ddd', log.text)
    log.size, log.sum = (length - HEADER) / MARK - log.dead, base
    if log.size > 0 then
      local _
      _, log.sum = mark(log, log.size - 1)
    end
    log.all = log.sum - base
  end
  local t = floor(now / rule.tick)
  if t < last then
    if last - t > rule.window then log.shift = t - last else t = last end
  end
  local since = t - log.shift - rule.window
  log.first = search(log, 0, log.size, function(tick) return tick > since end)
  if log.first > 0 then
    local _
    _, base = mark(log, log.first - 1)
  end
  log.base = base
  rule.log, rule.last, rule.start, rule.prev, rule.cur = log, t, 0, 0, log.sum - base
end

-- The tick at which cost fits, which it does not now, or -1.
local function log_fits_from(rule, cost)
  if cost > rule.limit then return -1 end
  local log = rule.log
  local enough = log.sum - (rule.limit - cost)
  local i = search(log, log.first, log.size, function(_, sum) return sum >= enough end)
  return mark(log, i) + log.shift + rule.window
end

-- Writes the log anew, with what counts of its marks from first to stop - 1 and
-- the marks in the string tail after them.
local function write_log(rule, now, stop, tail)
  local log = rule.log
  local from, upto = HEADER + (log.dead + log.first) * MARK, HEADER + (log.dead + stop) * MARK
  local marks = ''
  if upto > from then
    if upto <= #log.text then
      marks = string.sub(log.text, from + 1, upto)
    else
      marks = redis.call('GETRANGE', log.key, from, upto - 1)
    end
    if log.shift ~= 0 then
      local shifted = {}
      for at = 1, #marks, MARK do
        local tick, sum = unpack_('<dd', marks, at)
        shifted[#shifted + 1] = pack('<dd', tick + log.shift, sum)
      end
      marks = table.concat(shifted)
    end
  end
  local text = pack('<ddd', rule.last, log.base, 0) .. marks .. tail
  redis.call('SET', log.key, text, 'PX', keep(rule, now))
end

-- Spends cost, for which there is room.
local function spend_log(rule, cost, now)
  local log = rule.log
  local new = pack('<dd', rule.last, log.sum + cost)
  local stop = log.size
  if stop > log.first and mark(log, stop - 1) + log.shift == rule.last then stop = stop - 1 end
  rule.cur = rule.cur + cost

  local dead = log.dead + log.first
  if #log.text < SHORT or log.shift ~= 0 or dead > log.size - log.first then
    write_log(rule, now, stop, new)
    return
  end
  redis.call('SETRANGE', log.key, 0, pack('<ddd', rule.last, log.base, dead))
  redis.call('SETRANGE', log.key, HEADER + (log.dead + stop) * MARK, new)
  redis.call('PEXPIRE', log.key, keep(rule, now))
end

-- Gives back units of what was spent at the tick start, as far as it is there.
-- Units below zero are charged to what is there, up to MAX_LOG in all.
local function refund_log(rule, start, units)
  local log = rule.log
  start = start - log.shift
  local i = search(log, log.first, log.size, function(tick) return tick >= start end)
  if i == log.size then return end
  local tick, sum = mark(log, i)
  if tick ~= start then return end
  local before = log.base
  if i > log.first then
    local _
    _, before = mark(log, i - 1)
  end
  units = max(min(units, sum - before), log.all - MAX_LOG)
  local tail = {}
  for j = sum - units == before and i + 1 or i, log.size - 1 do
    tick, sum = mark(log, j)
    tail[#tail + 1] = pack('<dd', tick, sum - units)
  end
  local head = redis.call('GETRANGE', log.key, 0, HEADER + (log.dead + i) * MARK - 1)
  redis.call('SET', log.key, head .. table.concat(tail), 'KEEPTTL')
end

-- What is told of a log: the tick decided at, the ticks at which more remains
-- and at which cost fits, and the units that count once cost is spent, if it is.
local function moments(rule, cost, spend)
  local log, reset, retry = rule.log, 0, 0
  if spend and rule.fits then
    local oldest = log.first < log.size and mark(log, log.first) + log.shift or rule.last
    return pack('<dddd', rule.last, oldest + rule.window, 0, rule.cur + cost)
  end
  if rule.cur > 0 then reset = log_fits_from(rule, max(0, rule.limit - rule.cur) + 1) end
  if not rule.fits then retry = log_fits_from(rule, cost) end
  return pack('<dddd', rule.last, reset, retry, rule.cur)
end
