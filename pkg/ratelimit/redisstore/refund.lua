-- Gives back units to the counters whose window still counts, once.
--
-- KEYS  the mark of the refund, then the counter of each rule
-- ARGV  1 the instant in microseconds, empty for the server's own
--       2 units
--       3 the number of rules
--       4 the rules, packed; extra is the start of the window spent in, in ticks
-- Returns 1, or 0 if this was refunded before
local now, units, n = instant(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local values, rules = redis.call('MGET', unpack(KEYS)), rules_of(ARGV[4], n)

local counting, life = {}, 0
for i = 1, n do
  local rule, value = rules[i], values[i + 1]
  if value and advance(rule, value, now) then
    local counts = true
    if rule.start == rule.extra then
      rule.cur = max(0, rule.cur - units)
    elseif rule.kind == 0 and rule.start == rule.extra + rule.window then
      rule.prev = max(0, rule.prev - units)
    else
      counts = false
    end
    if counts then
      counting[#counting + 1] = i
      life = max(life, keep(rule, now))
    end
  end
end

if #counting == 0 then return 1 end
if values[1] then return 0 end
redis.call('SET', KEYS[1], '1', 'PX', string.format('%.0f', life))
for _, i in ipairs(counting) do
  redis.call('SET', KEYS[i + 1], packed(rules[i]), 'PX', string.format('%.0f', keep(rules[i], now)))
end
return 1
