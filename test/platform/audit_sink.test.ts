// The audit destination: a file, a pipe, a full disk, a reader that left. What is not written is an AuditFailure.
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { allowEvent } from '../../src/core/audit_event.ts'
import type { AuditEvent } from '../../src/core/audit_event.ts'
import { AuditFailure, openAuditSink } from '../../src/platform/audit_sink.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-audit-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

function event(requestId: string): AuditEvent {
  return allowEvent(
    { event: 'token', time: '2026-11-21T12:00:00.000Z', requestId, peer: '192.0.2.1' },
    { grant: 'g' },
  )
}

function idsIn(file: string): readonly string[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => String(Object(JSON.parse(line)).requestId))
}

for (const isIdle of [true, false]) {
  t.test(
    `events of ${isIdle ? 'an idle' : 'a busy'} broker are lines of a file that only its owner reads`,
    async (t) => {
      const file = join(folder, `deep-${String(isIdle)}`, 'audit.log')
      const sink = openAuditSink({ destination: file, isIdle: () => isIdle })
      await Promise.all(['1', '2', '3'].map((id) => sink.write(event(id))))
      t.same(idsIn(file), ['1', '2', '3'], 'written when the promise resolves')
      t.equal(statSync(file).mode & 0o777, 0o600)
      sink.close()
      const again = openAuditSink({ destination: file, isIdle: () => isIdle })
      await again.write(event('4'))
      again.close()
      t.same(idsIn(file), ['1', '2', '3', '4'], 'appended to')
    },
  )
}

t.test('closing writes what still waits', async (t) => {
  const file = join(folder, 'closing.log')
  const sink = openAuditSink({ destination: file, isIdle: () => false })
  const written = sink.write(event('1'))
  sink.close()
  await written
  t.same(idsIn(file), ['1'])
})

t.test('a rotated file is followed when told', async (t) => {
  const file = join(folder, 'rotated.log')
  const sink = openAuditSink({ destination: file, isIdle: () => true })
  await sink.write(event('1'))
  renameSync(file, `${file}.1`)
  await sink.write(event('2'))
  sink.reopen()
  await sink.write(event('3'))
  sink.close()
  t.same([idsIn(`${file}.1`), idsIn(file)], [['1', '2'], ['3']])
})

t.test(
  'what a full disk cut short spoils no line of the next process, nor of the next reopening',
  async (t) => {
    const file = join(folder, 'torn.log')
    const half = JSON.stringify(event('0')).slice(0, 20)
    writeFileSync(file, half)
    const sink = openAuditSink({ destination: file, isIdle: () => true })
    await sink.write(event('1'))
    writeFileSync(file, half, { flag: 'a' })
    sink.reopen()
    await sink.write(event('2'))
    sink.close()
    const next = openAuditSink({ destination: file, isIdle: () => true })
    await next.write(event('3'))
    next.close()
    const line = (id: string): string => JSON.stringify(event(id))
    t.same(readFileSync(file, 'utf8').split('\n'), [half, line('1'), half, line('2'), line('3'), ''])
  },
)

t.test('a destination that cannot be opened anew leaves the old one in use', async (t) => {
  const base = join(folder, 'moved')
  const file = join(base, 'audit.log')
  const sink = openAuditSink({ destination: file, isIdle: () => true })
  renameSync(base, `${base}.away`)
  writeFileSync(base, 'a file where the folder was')
  t.throws(() => sink.reopen(), AuditFailure)
  await sink.write(event('1'))
  sink.close()
  t.same(idsIn(join(`${base}.away`, 'audit.log')), ['1'])
})

t.test('a destination that cannot be opened is a failure that names it', async (t) => {
  const blocked = join(folder, 'blocked')
  writeFileSync(blocked, '')
  const destination = join(blocked, 'audit.log')
  t.throws(() => openAuditSink({ destination, isIdle: () => true }), {
    code: 'SALLYPORT_AUDIT',
    message: new RegExp(destination),
  })
})

t.test(
  'on a full disk every write fails, and readiness knows',
  { skip: !existsSync('/dev/full') && 'no /dev/full here' },
  async (t) => {
    for (const isIdle of [true, false]) {
      const sink = openAuditSink({ destination: '/dev/full', isIdle: () => isIdle })
      t.equal(sink.failure(), undefined)
      const outcomes = await Promise.allSettled([sink.write(event('1')), sink.write(event('2'))])
      for (const outcome of outcomes)
        t.match(outcome, { status: 'rejected', reason: { code: 'SALLYPORT_AUDIT' } })
      t.match(sink.failure(), /ENOSPC/)
      sink.close()
    }
  },
)

/** A FIFO whose reading end is open but never read, so that the pipe fills up. */
function stuckPipe(name: string): { readonly path: string; readonly readEnd: number } {
  const path = join(folder, name)
  execFileSync('sh', ['-c', 'mkfifo "$0"', path])
  return { path, readEnd: openSync(path, 'r+') }
}

t.test('a reader that is stuck fails the write in bounded time, and a second time at once', async (t) => {
  const { path, readEnd } = stuckPipe('stuck')
  const script = `
    import { openAuditSink } from ${JSON.stringify(new URL('../../src/platform/audit_sink.ts', import.meta.url).href)}
    process.stdout.on('error', () => {}) // as src/main.ts does; only then is the pipe non-blocking
    const sink = openAuditSink({ destination: 'stdout', isIdle: () => true })
    const times = []
    for (let count = 0; count < 3; count += 1) {
      const began = performance.now()
      await sink.write({ requestId: 'x'.repeat(100000) }).then(() => times.push('written'), () => times.push(Math.round(performance.now() - began)))
    }
    console.error(JSON.stringify(times))
    process.exit(0)`
  const writeEnd = openSync(path, 2 | 0o4000)
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', writeEnd, 'pipe'],
  })
  closeSync(writeEnd)
  if (child.stderr === null) throw new Error('stderr is a pipe')
  const told = await text(child.stderr)
  closeSync(readEnd)
  const times: unknown = JSON.parse(told.trim().split('\n').at(-1) ?? '[]')
  const [first, second, third] = Array.isArray(times) ? times.map(Number) : []
  t.ok(first !== undefined && first >= 900 && first < 3000, String(first))
  t.ok(second !== undefined && second < 200, String(second))
  t.ok(third !== undefined && third < 200, String(third))
})

t.test(
  'where several processes write, a line of one that was stopped inside it spoils no other',
  async (t) => {
    const file = join(folder, 'shared.log')
    const sinks = [1, 2].map(() => openAuditSink({ destination: file, isIdle: () => true, isShared: true }))
    await sinks[0]?.write(event('first'))
    // As a full disk leaves it.
    writeFileSync(file, '{"requestId":"torn', { flag: 'a' })
    await sinks[1]?.write(event('second'))
    await sinks[0]?.write(event('third'))
    for (const sink of sinks) sink.close()
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    t.strictSame(
      lines.map((line) => line.endsWith('}') && String(Object(JSON.parse(line)).requestId)),
      ['first', false, 'second', 'third'],
    )
  },
)

t.test('what several processes write into one pipe goes in pieces that end with a line', async (t) => {
  const script = `
    import { openAuditSink } from ${JSON.stringify(join(import.meta.dirname, '../../src/platform/audit_sink.ts'))}
    const sink = openAuditSink({ destination: 'stdout', isIdle: () => false, isShared: true })
    const write = (round) => Promise.all(Array.from({ length: 16 }, (_, index) =>
      sink.write({ writer: process.argv[1], round, index, padding: process.argv[1].repeat(900) })))
    for (let round = 0; round < 200; round += 1) await write(round)
  `
  const shell = `for writer in a b c; do "${process.execPath}" --input-type=module -e "$SCRIPT" $writer & done; wait`
  const child = spawn('sh', ['-c', shell], {
    env: { PATH: process.env['PATH'], SCRIPT: script },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = (await text(child.stdout)).trimEnd().split('\n')
  t.equal(lines.length, 3 * 200 * 16)
  const broken = lines.filter(
    (line) => !/^\{"writer":"(\w)","round":\d+,"index":\d+,"padding":"\1{900}"\}$/.test(line),
  )
  t.strictSame(broken, [])
})
