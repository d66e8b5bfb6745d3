// Preloaded into a broker (`node --import`): shifts Date by what stands in the file that CHAOS_CLOCK names, read at the
// start and at each SIGUSR2, and writes back what it took. The product has no way to do that, and needs none: its clock
// is Date.now, handed in by main.ts. Timers go on by the machine's monotonic clock, as they do when a clock is set.
import { readFileSync, writeFileSync } from 'node:fs'

const file = process.env['CHAOS_CLOCK']
if (file === undefined) throw new Error('CHAOS_CLOCK names no file')
const RealDate = Date
const realNow = Date.now.bind(Date)
let offsetMs = 0

function take(): void {
  const text = readFileSync(String(file), 'utf8')
  offsetMs = Number(text)
  writeFileSync(`${file}.taken.${process.pid}`, text)
}

RealDate.now = () => realNow() + offsetMs
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: readonly unknown[], newTarget) =>
    Object(Reflect.construct(target, given.length === 0 ? [realNow() + offsetMs] : given, newTarget)),
})
// Before the file says that it may be sent.
process.on('SIGUSR2', take)
take()
