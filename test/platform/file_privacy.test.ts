// Whether a file with a secret is open to strangers, by owner, group and mode.
import t from 'tap'
import { modeForUs, privacyProblem } from '../../src/platform/config/file_privacy.ts'

const BROKER = { uid: 65532, groups: [65532] }
const VOLUME = '/run/secrets/sallyport/..2026_11_05_08_30_00.1234567890'
const SECRET = { mode: 0o100440, uid: 0, gid: 65532, realPath: `${VOLUME}/nightly` }
const judge = (file: Partial<typeof SECRET>, own: Partial<typeof BROKER> = {}) =>
  privacyProblem('secret', modeForUs({ ...SECRET, ...file }, { ...BROKER, ...own }))

t.test('a Kubernetes Secret that fsGroup gives to the group of the broker is private', async (t) => {
  t.equal(judge({}), undefined)
})

t.test('an item of such a volume that lies in a folder is, too', async (t) => {
  t.equal(judge({ realPath: `${VOLUME}/clients/nightly` }), undefined)
})

for (const [says, file, own] of [
  ["a group that is not the broker's", { gid: 100 }, {}],
  ['a file of the broker itself that its group can read', { uid: 65532 }, {}],
  ['the same file outside of such a volume', { realPath: '/etc/sallyport/nightly' }, {}],
  ['a file that is only called like one', { realPath: '/etc/..2026_11_05_08_30_00.1234567890' }, {}],
  ['a broker that runs as root, which needs no group to read', {}, { uid: 0 }],
] as const) {
  t.test(`told: ${says}`, async (t) => {
    t.match(judge(file, own), { isWorld: false, message: /its whole group \(mode 0440\)/ })
  })
}

t.test('a file that everybody can read is open whoever gave it', async (t) => {
  t.match(judge({ mode: 0o100444 }), { isWorld: true })
})
