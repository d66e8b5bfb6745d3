import t from 'tap'
import { formatDuration, parseDuration } from '../../src/platform/config/duration.ts'

t.test('durations are read as Go reads them', (t) => {
  for (const [text, seconds] of [
    ['90s', 90],
    ['10m', 600],
    ['1h30m', 5400],
    ['1.5h', 5400],
    ['.5s', 0.5],
    ['500ms', 0.5],
    ['-1m', -60],
    ['+1m', 60],
    ['0', 0],
    ['0s', 0],
  ] as const) {
    t.equal(parseDuration(text), seconds, text)
  }
  t.end()
})

t.test('what Go does not read is no duration', (t) => {
  for (const text of [
    '',
    '60',
    '1d',
    '10 m',
    '10M',
    'm',
    '1h30',
    '1e3s',
    '.s',
    '1..5s',
    '--1s',
    '٣s',
    '1s'.repeat(99),
  ]) {
    t.equal(parseDuration(text), undefined, text)
  }
  t.end()
})

t.test('a duration is written in the shortest way and read back', (t) => {
  for (const seconds of [0, 1, 59, 60, 61, 3600, 5400, 86_400, 90_061]) {
    t.equal(parseDuration(formatDuration(seconds)), seconds)
  }
  t.equal(formatDuration(5400), '1h30m')
  t.end()
})
