-- Gives a slot back that take_slot.lua took: how many this and other applications hold now.
--
-- KEYS: robocall:{org}:external. Below nothing it does not go: what was given back twice was somebody else's.
if tonumber(redis.call('GET', KEYS[1]) or 0) <= 0 then return 0 end
return redis.call('DECR', KEYS[1])
