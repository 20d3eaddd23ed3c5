-- What people note about calls: under a request's key and `:n`, by a call's index and a letter: `d` how it went, `v` whether its
-- customer is verified, `b` means harm, `r` was there before (`1` or `0`).
local Notes = {}
local NOTED = { 'd', 'v', 'b', 'r' }

function Notes.key(h) return Req.key(h) .. ':n' end

local function is_there(h, index)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  return e and e.st > 0
end

-- All that is noted, in that order; empty what is not.
function Notes.read(h, index)
  if not is_there(h, index) then return { 'missing' } end
  local fields = {}
  for i, letter in ipairs(NOTED) do fields[i] = text(index) .. letter end
  local noted = call('HMGET', Notes.key(h), unpack(fields))
  for i in ipairs(NOTED) do noted[i] = noted[i] or '' end
  return { 'done', noted }
end

-- Notes what is not empty, once under an id if there is one, which an event tells of; all that is noted then. `what`: its name,
-- `hash`: by which something else under that id is told from it.
function Notes.write(h, index, note, id, actor, what, hash)
  if not is_there(h, index) then return { 'missing' } end
  if id ~= '' then
    local name = 'note/' .. id
    local before = Once.remember(name, hash, DAY)[1]
    if before == 'different' then return { 'taken' } end
    if before == 'again' then return Notes.read(h, index) end
    -- Begun, perhaps, but not noted.
    Once.answered(name, 'noted')
    Req.emit(Req.get(h), 'command.executed', nil, { what, id, actor, Entry.call_id(h, index) })
  end
  for i, letter in ipairs(NOTED) do
    if note[i] ~= '' then call('HSET', Notes.key(h), text(index) .. letter, note[i]) end
  end
  return Notes.read(h, index)
end
