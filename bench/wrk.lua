-- Posts questions to /v1/search one after the other and prints the latency of the answers; see README.md.
--
-- Argument: a file with one question per line. Without it, the script generates questions of six words, with the
-- vocabulary and the word frequencies of the passages of `autorag bench search` (server/bench/prose.rs).

local QUESTIONS = 1000
local VOCABULARY = 30000
local SYLLABLES = {
  "an", "ber", "cor", "dal", "en", "fir", "gan", "hol", "in", "jar", "kel", "lor", "mi", "nor", "ol", "per",
  "qua", "ras", "sel", "tor", "un", "ver", "win", "xen", "yal", "zor", "sta", "tri", "plo", "ghe", "fle", "sku",
}
local COMMON = {
  "the", "of", "and", "to", "a", "in", "is", "that", "for", "it", "with", "as", "on", "are", "be", "this",
  "by", "from", "or", "when", "which", "can", "not", "use", "file", "value", "set", "name", "all", "system",
}

local function spell(rank)
  local rest, word = rank + #SYLLABLES, ""
  while rest > 0 do
    word = word .. SYLLABLES[rest % #SYLLABLES + 1]
    rest = math.floor(rest / #SYLLABLES)
  end
  return word
end

-- A common word half of the time, else one by Zipf's law.
local function word()
  if math.random(2) == 1 then return COMMON[math.random(#COMMON)] end
  return spell(math.floor(VOCABULARY ^ math.random()))
end

local function body(question)
  local escaped = question:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end)
  return '{"query":"' .. escaped .. '"}'
end

local thread_count = 0
function setup(thread)
  thread_count = thread_count + 1
  thread:set("seed", thread_count)
end

local bodies, at = {}, 0
function init(arguments)
  if arguments[1] then
    for line in io.lines(arguments[1]) do bodies[#bodies + 1] = body(line) end
  else
    math.randomseed(seed)
    for number = 1, QUESTIONS do
      local words = {}
      for position = 1, 6 do words[position] = word() end
      bodies[number] = body(table.concat(words, " "))
    end
  end
end

function request()
  at = at % #bodies + 1
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, bodies[at])
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local function ms(percent) return latency:percentile(percent) / 1000 end
  io.write(string.format("p50 %7.2f ms   p90 %7.2f ms   p99 %7.2f ms   %.0f requests/s   %d failed\n",
    ms(50), ms(90), ms(99), summary.requests / summary.duration * 1e6, failed))
  if failed > 0 then os.exit(1) end
end
