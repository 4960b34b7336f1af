-- Decides one request. Everything is read and decided before the first write,
-- and no write after it can fail.
--
-- KEYS  the counter of each rule, then the kept decision if the request has an
--       ID; one key that is not read if there is neither
-- ARGV  1 the instant in microseconds, empty for the server's own
--       2 cost
--       3 the number of rules
--       4 the rules, packed; extra is 1 for a shadow rule
--       5 the fingerprint, 8 bytes; empty without an ID
--       6 what Go wants kept with the decision
-- Returns a letter and
--   F  fresh: the decision, namely little-endian doubles: instant, allowed,
--      number of rules, and per rule fits and its counter as it is now
--   R  replayed: the decision, then argument 6 of the request that got it
--   C  conflict: the ID was used with another fingerprint
--   O  a calendar does not reach the instant: the rule's index as a double
local REPLAY = 60000000 -- microseconds that a decision is kept

local now, cost, n = instant(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local id = ARGV[5] ~= '' and KEYS[n + 1]

local values = n + (id and 1 or 0) > 0 and redis.call('MGET', unpack(KEYS)) or {}

local kept = id and values[n + 1]
if kept then
  local at = unpack_('<d', kept, 9)
  if now - at < REPLAY and at - now <= REPLAY then
    if string.sub(kept, 1, 8) ~= ARGV[5] then return 'C' end
    return 'R' .. string.sub(kept, 9)
  end
end

local rules, allowed = rules_of(ARGV[4], n), 1
for i = 1, n do
  local rule = rules[i]
  if not advance(rule, values[i], now) then return 'O' .. pack('<d', i - 1) end
  rule.fits = used(rule) <= rule.limit - cost
  if not rule.fits and rule.extra == 0 then allowed = 0 end
end

local decision = { pack('<ddd', now, allowed, n) }
for i = 1, n do
  local rule = rules[i]
  local spend = allowed == 1 and rule.fits and cost > 0
  if spend then rule.cur = rule.cur + cost end
  local state = packed(rule)
  if spend then redis.call('SET', KEYS[i], state, 'PX', string.format('%.0f', keep(rule, now))) end
  decision[i + 1] = pack('<d', rule.fits and 1 or 0) .. state
end

decision = table.concat(decision)
if id then redis.call('SET', id, ARGV[5] .. decision .. ARGV[6], 'PX', '60000') end
return 'F' .. decision
