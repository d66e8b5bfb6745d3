// What kube-apiserver gets back, and that it survives the limits which kube-apiserver 1.36 has for it.
import t from 'tap'
import type { JudgedFinding, Verdict } from '../../src/core/module/verdict.ts'
import { warningsOf } from '../../src/core/module/verdict_message.ts'
import { allow, answerOf, errored } from '../../webhook/review/answer.ts'

const UID = 'a4e00a33-a7f7-47f8-a1e6-af36214b05ca'

const REMOVED: JudgedFinding = {
  rule: 'WH-V1',
  kind: 'forbidden',
  path: 'spec.versions',
  message: 'version 1.1.0 was published and is taken off spec.versions',
  wayOut: 'leave every published entry in spec.versions and add to it',
  version: '1.1.0',
  mode: 'enforce',
  exceptedBy: undefined,
}
const MALFORMED: JudgedFinding = {
  rule: 'WH-V7',
  kind: 'invalid',
  path: 'spec.versions[2].version',
  message: '"main" is not a version: it is not MAJOR.MINOR.PATCH',
  wayOut: 'write MAJOR.MINOR.PATCH',
  mode: 'enforce',
  exceptedBy: undefined,
}

function verdict(...findings: readonly JudgedFinding[]): Verdict {
  const allowed = findings.every(({ mode, kind }) => mode !== 'enforce' || kind === 'notice')
  const annotations = new Map([['publisher', 'ci']])
  return { allowed, findings, warnings: warningsOf(findings), annotations, broken: [] }
}

t.test('nothing found is yes, with who asked for the audit log', async (t) => {
  t.same(answerOf(UID, verdict()), {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: UID, allowed: true, auditAnnotations: { publisher: 'ci' } },
  })
})

t.test('what a policy says no to is a 403 with the reason and the way out', async (t) => {
  t.same(answerOf(UID, verdict(REMOVED)).response, {
    uid: UID,
    allowed: false,
    status: {
      code: 403,
      reason: 'Forbidden',
      message: `WH-V1: ${REMOVED.message}. Instead: ${REMOVED.wayOut}`,
    },
    auditAnnotations: { publisher: 'ci' },
  })
})

t.test('how something is written is a 422, unless a policy says no as well', async (t) => {
  t.match(answerOf(UID, verdict(MALFORMED)).response, {
    allowed: false,
    status: { code: 422, reason: 'Invalid' },
  })
  const both = answerOf(UID, verdict(MALFORMED, REMOVED)).response
  t.match(both, { allowed: false, status: { code: 403, reason: 'Forbidden', message: /WH-V7.*WH-V1/ } })
})

t.test('what only warns is yes with a warning, and what is only written down without one', async (t) => {
  const warned = answerOf(UID, verdict({ ...REMOVED, mode: 'warn' })).response
  t.match(warned, { allowed: true, status: undefined, warnings: [/^WH-V1: version 1\.1\.0/] })
  const written = answerOf(UID, verdict({ ...REMOVED, mode: 'audit' })).response
  t.match(written, { allowed: true, status: undefined, warnings: undefined })
})

t.test('what only warns takes no part in a denial, and is told beside it', async (t) => {
  const { response } = answerOf(UID, verdict({ ...REMOVED, mode: 'warn' }, MALFORMED))
  t.match(response, { status: { code: 422, message: /^WH-V7: / }, warnings: [/^WH-V1: /] })
})

t.test(
  'five hundred problems are a message that a person can read, and warnings that arrive whole',
  async (t) => {
    const denied = answerOf(UID, verdict(...many('enforce'))).response
    const message = denied.status?.message ?? ''
    t.ok(Buffer.byteLength(message) <= 2048, String(Buffer.byteLength(message)))
    t.match(message, /And \d+ more problems\.$/)
    const { warnings = [] } = answerOf(UID, verdict(...many('warn'))).response
    t.match(warnings.at(-1), /^and \d+ more warnings$/)
    t.ok(warnings.every((text) => text.length <= 256))
    t.ok(warnings.join('').length <= 4096)
  },
)

t.test('a name of kilobytes does not fill the audit log', async (t) => {
  const { response } = allow(UID, { warnings: [], annotations: new Map([['publisher', 'x'.repeat(5000)]]) })
  t.equal(response.auditAnnotations?.['publisher']?.length, 1024)
})

t.test('nothing that somebody wrote steers the terminal of somebody else', async (t) => {
  const hostile = 'a\u001b[2J\r\nb\u202ec\ud83d'
  const finding: JudgedFinding = { ...REMOVED, message: hostile, wayOut: hostile }
  const denied = answerOf(UID, {
    ...verdict(finding),
    annotations: new Map([['publisher', hostile]]),
  }).response
  const shown = 'a\\u{1b}[2J\\u{d}\\u{a}b\\u{202e}c\\u{d83d}'
  t.equal(denied.status?.message, `WH-V1: ${shown}. Instead: ${shown}`)
  t.equal(denied.auditAnnotations?.['publisher'], shown)
  const warned = answerOf(UID, verdict({ ...finding, mode: 'warn' })).response
  t.same(warned.warnings, [`WH-V1: ${shown}. Instead: ${shown}`])
})

t.test('what could not be judged is refused, and the log is named', async (t) => {
  t.match(errored(UID).response, {
    uid: UID,
    allowed: false,
    status: { code: 500, reason: 'InternalError', message: `under ${UID}` },
  })
})

t.test('no answer has what makes kube-apiserver refuse it or kubectl hide it', async (t) => {
  for (const answer of [answerOf(UID, verdict()), answerOf(UID, verdict(REMOVED)), errored(UID)]) {
    const { response, ...rest } = JSON.parse(JSON.stringify(answer))
    t.same(rest, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })
    t.equal(response.uid, UID)
    for (const field of ['patch', 'patchType']) t.notOk(field in response)
    t.notOk('details' in (response.status ?? {}))
  }
})

function many(mode: 'enforce' | 'warn'): readonly JudgedFinding[] {
  return Array.from({ length: 500 }, (_, index) => {
    const message = `version ${index}.0.0 was published as sha256:${'0'.repeat(64)} and is taken off`
    return { ...REMOVED, mode, message, wayOut: `look at ${index}`, version: `${index}.0.0` }
  })
}
