import t from 'tap'
import { decodeSubject, encodeSubject } from '../../src/core/dex/subject.ts'

const VECTORS = [
  ['foo', 'bar', 'CgNmb28SA2Jhcg'],
  ['1', 'test', 'CgExEgR0ZXN0'],
  ['0-385-28089-0', 'mock', 'Cg0wLTM4NS0yODA4OS0wEgRtb2Nr'],
  [
    '08a8684b-db88-4b73-90a9-3cd1661f5466',
    'local',
    'CiQwOGE4Njg0Yi1kYjg4LTRiNzMtOTBhOS0zY2QxNjYxZjU0NjYSBWxvY2Fs',
  ],
  ['test', '', 'CgR0ZXN0'],
  ['ci-pipeline', '', 'CgtjaS1waXBlbGluZQ'],
  ['dex-client-ci@prod', '', 'ChJkZXgtY2xpZW50LWNpQHByb2Q'],
  [
    'repo:octo-org/octo-repo:ref:refs/heads/main',
    'github-actions',
    'CityZXBvOm9jdG8tb3JnL29jdG8tcmVwbzpyZWY6cmVmcy9oZWFkcy9tYWluEg5naXRodWItYWN0aW9ucw',
  ],
  [
    'project_path:group/app:ref_type:branch:ref:main',
    'gitlab-ci',
    'Ci9wcm9qZWN0X3BhdGg6Z3JvdXAvYXBwOnJlZl90eXBlOmJyYW5jaDpyZWY6bWFpbhIJZ2l0bGFiLWNp',
  ],
  ['system:serviceaccount:ci:deployer', 'k8s', 'CiFzeXN0ZW06c2VydmljZWFjY291bnQ6Y2k6ZGVwbG95ZXISA2s4cw'],
] as const

t.test("every subject that Dex's servers have written is written the same and read back", async (t) => {
  for (const [userId, connectorId, sub] of VECTORS) {
    t.equal(encodeSubject(userId, connectorId), sub, userId)
    t.same(decodeSubject(sub), { userId, connectorId }, sub)
  }
})

t.test('a user id of 128 bytes or more has a length of two bytes', async (t) => {
  const sub = encodeSubject('x'.repeat(130), 'c')
  t.ok(sub.startsWith('CoIB'))
  t.same(decodeSubject(sub), { userId: 'x'.repeat(130), connectorId: 'c' })
  t.equal(Buffer.from(encodeSubject('x'.repeat(127), ''), 'base64url')[1], 127)
})

t.test('lengths at every varint step and UTF-8 of every width survive', async (t) => {
  for (const length of [1, 127, 128, 129, 16_383, 16_384, 70_000]) {
    const userId = 'u'.repeat(length)
    t.same(decodeSubject(encodeSubject(userId, 'k')), { userId, connectorId: 'k' }, `${length}`)
  }
  for (const userId of ['é', '漢字', '👩‍🚀', '\u{10FFFF}', '\uFEFFbom', 'a\u0000b']) {
    t.same(decodeSubject(encodeSubject(userId, userId)), { userId, connectorId: userId })
  }
})

t.test('an empty string leaves no trace in the message', async (t) => {
  t.equal(encodeSubject('', 'bar'), Buffer.from([0x12, 3, 0x62, 0x61, 0x72]).toString('base64url'))
  t.same(decodeSubject(encodeSubject('', 'bar')), { userId: '', connectorId: 'bar' })
  t.equal(encodeSubject('', ''), '')
})

t.test('half a surrogate pair is no user', async (t) => {
  t.throws(() => encodeSubject('\ud800', 'c'), RangeError)
  t.throws(() => encodeSubject('u', '\udc00'), RangeError)
})

const spelled = (...bytes: number[]): string => Buffer.from(bytes).toString('base64url')

t.test('a subject has one spelling, and every other is not read', async (t) => {
  const wrong = {
    empty: '',
    padded: 'CgR0ZXN0Eg==',
    'not base64url': 'CgNm b28',
    'spare bits set': 'CgNmb28SA2Jhch',
    'unknown field': spelled(0x1a, 1, 0x61),
    'field after the last': spelled(0x12, 1, 0x61, 0x1a, 1, 0x61),
    'fields in the other order': spelled(0x12, 1, 0x61, 0x0a, 1, 0x61),
    'field twice': spelled(0x0a, 1, 0x61, 0x0a, 1, 0x62),
    'empty field': spelled(0x0a, 0),
    'long varint': spelled(0x0a, 0x81, 0x00, 0x61),
    'endless varint': spelled(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff),
    'cut in the length': spelled(0x0a, 0x80),
    'cut in the text': spelled(0x0a, 5, 0x61),
    'broken UTF-8': spelled(0x0a, 1, 0xff),
    'wrong wire type': spelled(0x08, 1),
    'plain client id': 'ci-pipeline',
  }
  for (const [name, sub] of Object.entries(wrong)) t.equal(decodeSubject(sub), undefined, name)
})
