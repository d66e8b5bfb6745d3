-- wrk script for AdmissionReviews. Arguments after `--`: a file with one review a line, and milliseconds that a connection
-- pauses before each request. Every request is made before the run.
-- An answer that is not "allowed" counts as failed.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)webhook/") .. "report.lua")
local requests, index, denied, pause = {}, 0, 0, 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local headers = {["Content-Type"] = "application/json"}
  pause = tonumber(args[2])
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function delay()
  -- wrk takes whole milliseconds: halves are made of two.
  return math.floor(pause + (index % 2) * 0.5)
end

function request()
  index = index % #requests + 1
  return requests[index]
end

function response(status, headers, body)
  if not body:find('"allowed":true', 1, true) then
    denied = denied + 1
    wrk.thread:set("denied", denied)
  end
end

local report = done
function done(summary, latency)
  for _, thread in ipairs(threads) do
    summary.errors.status = summary.errors.status + (thread:get("denied") or 0)
  end
  report(summary, latency)
end
