import t from 'tap'
import { secondsOfTime, timeOfSeconds } from '../../src/core/date_time.ts'

t.test('a time with its offset is the second that every clock means by it', async (t) => {
  const times = [
    '1970-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '2026-11-21T18:37:05Z',
    '2026-11-21T18:37:05.123456789+05:30',
    '2026-11-21T18:37:05-11:00',
    '2024-02-29T12:00:00Z',
    '2000-02-29T00:00:00Z',
    '1900-03-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '0001-01-01T00:00:00Z',
  ]
  for (const text of times) t.equal(secondsOfTime(text), Math.floor(Date.parse(text) / 1000), text)
  for (let day = 0; day < 40_000; day += 13) {
    const text = new Date(day * 86_400_000).toISOString()
    t.equal(secondsOfTime(text), day * 86_400, text)
  }
})

t.test('a second is written as the time that it is', async (t) => {
  const ends = [
    -1,
    0,
    951_782_400,
    1_709_164_800,
    1_795_651_200,
    253_402_300_799,
    secondsOfTime('0001-01-01T00:00:00Z') ?? 0,
  ]
  for (const seconds of ends) {
    t.equal(timeOfSeconds(seconds), new Date(seconds * 1000).toISOString().replace('.000', ''))
  }
  for (let seconds = 0; seconds < 4_000_000_000; seconds += 7_654_321) {
    t.equal(timeOfSeconds(seconds), new Date(seconds * 1000).toISOString().replace('.000', ''))
  }
})

t.test('what is no time is none', async (t) => {
  const texts = [
    '',
    '2026-11-21',
    '2026-11-21T18:37:05',
    '2026-11-21 18:37:05Z',
    '2026-11-21T18:37Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-13-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+00:60',
    '2026-01-01T00:00:00z',
    '２026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
  ]
  for (const text of texts) t.equal(secondsOfTime(text), undefined, text)
})
