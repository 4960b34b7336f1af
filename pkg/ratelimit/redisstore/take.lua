-- Decides requests, one after the other, all at one instant. Everything about a
-- request is read and decided before its first write, and no write after it can
-- fail. One that fails nevertheless, on a key that is not ours, leaves the
-- others alone.
--
-- KEYS  for each request the counter of each rule, then the kept decision if it
--       has an ID; one key that is not read if there is neither
-- ARGV  1 the instant in microseconds, empty for the server's own
--       then each request: doubles for cost, number of rules, and whether it
--       has an ID; the rules, packed, extra is 1 for a shadow rule, and 2 more
--       for a durable one; with an ID its fingerprint, 8 bytes, and what Go
--       wants kept with the decision
-- Returns for each request a letter and
--   F  fresh: the decision, namely little-endian doubles: instant, allowed,
--      number of rules, and per rule whether it fits and its counter as it is
--      now, or what is told of its log
--   R  replayed: the decision, then what Go wanted kept by the request that got it
--   C  conflict: the ID was used with another fingerprint
--   O  a calendar does not reach the instant: the rule's index as a double
--   U  durable rules have no counter for now: as doubles, for each of them its
--      index and the instant in microseconds at which the period starts
--   E  an error's text
local REPLAY = 60000000 -- microseconds that a decision is kept

local function take(now, request, first, cost, n, has_id, at)
  local rules
  rules, at = rules_of(request, n, at)
  local id = has_id == 1 and KEYS[first + n]
  local kept = id and redis.call('GET', id)
  if kept then
    local then_ = unpack_('<d', kept, 9)
    if now - then_ < REPLAY and then_ - now <= REPLAY then
      if string.sub(kept, 1, 8) ~= string.sub(request, at, at + 7) then return 'C' end
      return 'R' .. string.sub(kept, 9)
    end
  end

  local allowed, unseeded = 1, nil
  for i = 1, n do
    local rule, key = rules[i], KEYS[first + i - 1]
    if rule.kind == 4 then
      advance_log(rule, key, now)
    else
      local value = redis.call('GET', key)
      if not advance(rule, value, now) then return 'O' .. pack('<d', i - 1) end
      if rule.extra > 1 and not holds(rule, value) then
        unseeded = (unseeded or 'U') .. pack('<dd', i - 1, rule.start * rule.tick)
      end
    end
    rule.fits = used(rule) <= rule.capacity - cost
    if not rule.fits and rule.extra % 2 == 0 then allowed = 0 end
  end
  if unseeded then return unseeded end

  local spend = allowed == 1 and cost > 0
  local decision = pack('<ddd', now, allowed, n)
  for i = 1, n do
    local rule = rules[i]
    local fits = rule.fits and 1 or 0
    if rule.kind == 4 then
      rule.told = pack('<d', fits) .. moments(rule, cost, spend)
    else
      if spend and rule.fits then rule.cur = rule.cur + cost end
      rule.told = pack('<ddddd', fits, rule.last, rule.start, rule.prev, rule.cur)
    end
    decision = decision .. rule.told
  end

  for i = 1, n do
    local rule = rules[i]
    if spend and rule.fits then
      if rule.kind == 4 then
        spend_log(rule, cost, now)
      else
        save(rule, KEYS[first + i - 1], string.sub(rule.told, 9), now)
      end
    end
  end
  if id then
    local content = string.sub(request, at, at + 7) .. decision .. string.sub(request, at + 8)
    redis.call('SET', id, content, 'PX', '60000')
  end
  return 'F' .. decision
end

local now, replies, first = instant(ARGV[1]), {}, 1
for i = 2, #ARGV do
  local request = ARGV[i]
  local cost, n, has_id, at = unpack_('<ddd', request)
  local ok, reply = pcall(take, now, request, first, cost, n, has_id, at)
  replies[i - 1] = ok and reply or 'E' .. (type(reply) == 'table' and reply.err or tostring(reply))
  first = first + max(1, n + has_id)
end
return replies
