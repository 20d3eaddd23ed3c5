-- Operations by name, as they read their arguments.
local operations = {
  open = function()
    return Intake.open(arg(), arg(), arg(), arg(), number(), number(), arg(), number(), number(), number(), number(),
      number(), number(), number(), number(), arg(), arg())
  end,
  chunk = function()
    local h, part, no, zones, count, largest, blob = arg(), number(), number(), arg(), number(), number(), arg()
    local runs = {}
    for i = 1, number() do runs[i] = { number(), arg() } end
    return Intake.chunk(h, part, no, zones, count, largest, blob, runs)
  end,
  seal = function() return Intake.seal(arg(), number()) end,
  write_off = function() return { Intake.lost(arg(), arg()) } end,
  reject = function() return Intake.reject(arg(), arg(), arg(), arg()) end,
  claim = function() return Claims.claim(arg(), number()) end,
  begin = function() return Attempt.begin(arg(), number(), number(), arg(), arg(), arg(), arg()) end,
  back = function() return Claims.give_back(arg(), number(), number()) end,
  checkpoint = function()
    local id, claim, token, after, added, state = arg(), number(), number(), number(), arg(), arg()
    local kept = {}
    for _ = 1, number() do kept[arg()] = true end
    return Attempt.checkpoint(id, claim, token, after, added, state, kept)
  end,
  finish = function()
    return Attempt.finish(arg(), number(), number(), arg(), number(), arg(), number(), arg(), { number(), arg() },
      { number(), arg() }, arg(), number())
  end,
  slot = function() return Owner.request_slot(arg(), number(), number(), arg(), number()) end,
  block = function() return Changes.list('SADD', arg(), arg(), arg(), arg(), arg()) end,
  unblock = function() return Changes.list('SREM', arg(), arg(), arg(), arg(), arg()) end,
  renew = function() return Owner.renew(number()) end,
  reassert = function()
    local id, claim, token, worker, request = arg(), number(), number(), arg(), arg()
    local facts, state, dials, longest, legs = arg(), arg(), number(), number(), {}
    for i = 1, number() do legs[i] = arg() end
    return Owner.reassert(id, claim, token, worker, request, facts, state, dials, longest, legs)
  end,
  hand_over = function() Owner.hand_over(number()) end,
  suspects = function() return Owner.suspects(number()) end,
  adopt = function() return Owner.adopt(arg(), number(), number(), arg(), arg()) end,
  owner = function() return Owner.of(arg()) end,
  request_of = function() return Owner.request_of(arg()) end,
  live = function() return Owner.live(arg()) end,
  confirm_call = function() Control.confirm_call(arg(), number()) end,
  confirm_request = function() Control.confirm_request(arg(), number()) end,
  confirm_change = function() Changes.confirm(arg()) end,
  unconfirmed = function() return Control.unconfirmed(number(), number(), number()) end,
  control = function() return Control.request(arg(), arg(), arg(), arg(), arg()) end,
  remember = function() return Once.remember(arg(), arg(), number()) end,
  answered = function() Once.answered(arg(), arg()) end,
  recalled = function() return Once.recalled(arg()) end,
  recording = function() return Recordings.of(arg()) end,
  recordings = function() return Recordings.before(number(), number(), number(), arg()) end,
  forget_recording = function() Recordings.forget(arg()) end,
  request = function() return Control.show(arg()) end,
  annotate = function() return Notes.write(arg(), number(), { arg(), arg(), arg(), arg() }, arg(), arg(), arg(), arg()) end,
  notes = function() return Notes.read(arg(), number()) end,
  list = function()
    local after, limit, wanted = arg(), number(), {}
    for _ = 1, number() do wanted[arg()] = true end
    return Listing.page(after, limit, wanted)
  end,
  list_mend = function() return Listing.mend(number(), arg()) end,
  header = function() return Control.header(arg()) end,
  calls = function() return Control.calls(arg(), number(), number()) end,
  organisation = function() return Control.organisation() end,
  set_organisation = function()
    Control.set_organisation(arg(), arg(), number(), number(), number(), number())
  end,
  change_organisation = function()
    local settings, limit = arg(), number()
    local is_so = Control.is_organisation(settings, limit)
    local after = { arg(), arg(), number(), number(), number(), number() }
    local id, actor, name, changed = arg(), arg(), arg(), {}
    for i = 1, number() do changed[i] = arg() end
    if is_so then
      -- What is written stands, also if what follows finds something that it cannot read.
      Changes.tell(name, id, actor, changed)
      Control.set_organisation(unpack(after, 1, 6))
    end
    return is_so and 1 or 0
  end,
  set_external = function() Control.set_external(number() == 1 and arg() or nil) end,
  slots = function() return Control.slots() end,
  standing = function() return Control.standing(number()) end,
  look = function() return Control.look() end,
  windows = function() return Control.windows(arg(), number()) end,
}

local reads = { owner = true, request_of = true, live = true, request = true, list = true, header = true,
  calls = true, notes = true, recalled = true, recording = true, recordings = true, organisation = true, slots = true, standing = true, suspects = true }

-- One asker's operations, up to the argument `last`: what they answer.
local function carry_out(last)
  local answers, looked, wrote = {}, false, false
  while next_arg < last do
    local name = arg()
    looked, wrote = looked or name == 'look', wrote or not reads[name]
    answers[#answers + 1] = operations[name]() or 0
  end
  return answers, looked, wrote
end

-- Several askers' operations, one asker after the other. KEYS[1]: the organisation's prefix, its hash tag included. ARGV: the
-- time in milliseconds (empty: the server's), the limit of an organisation that has none of its own; then, for each asker,
-- how many arguments there are, and these. Time, answers (a text is an asker's error, and what others did stands), what the
-- ring is to hear, windows to be read.
--
-- As a script, a lack of memory or of writable replicas is found out at its first write, half-way; as a function, before it
-- begins. `as_script`: that is found out here, where nothing was done yet, but for what only reads.
local function main(keys, argv, as_script)
  begin(keys, argv)
  if as_script and not reads[argv[4]] then call('SETRANGE', P .. 'o', '0', '') end
  local said, looked_at_all, wrote_at_all = {}, false, false
  while next_arg < #args do
    local last = number()
    last = next_arg + last
    local fine, answers, looked, wrote = pcall(carry_out, last)
    if fine then
      looked_at_all, wrote_at_all = looked_at_all or looked, wrote_at_all or wrote
    else
      answers, wrote_at_all = type(answers) == 'table' and answers.err or tostring(answers), true
    end
    said[#said + 1], next_arg = answers, last
  end
  return { now, said, wrote_at_all and Org.settle(looked_at_all) or {}, stale }
end
