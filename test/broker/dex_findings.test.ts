// One case for each finding about a Dex configuration: what was changed in a file that loads, where the finding points,
// what it advises. What Dex would let pass in silence is an error here.
import t from 'tap'
import { DEX_CODES } from '../../src/broker/config/dex/dex_codes.ts'
import { changed, errorsOf, loadDex } from '../support/dex_config.ts'
import { BASE, CLIENTS, chart } from './dex_findings/case.ts'
import { CLIENT_CASES } from './dex_findings/client_cases.ts'
import { CONNECTOR_CASES } from './dex_findings/connector_cases.ts'
import { FILE_CASES } from './dex_findings/file_cases.ts'
import { SERVER_CASES } from './dex_findings/server_cases.ts'

const CASES = [...FILE_CASES, ...SERVER_CASES, ...CLIENT_CASES, ...CONNECTOR_CASES]

t.test('the file that every case changes loads', async (t) => {
  t.same(errorsOf(loadDex(BASE)), [])
  t.same(errorsOf(loadDex(chart())), [])
})

for (const { code, says, from, to, at, severity, wayOut, message, world, withPasswords } of CASES) {
  t.test(`${says}: ${code}`, async (t) => {
    const base =
      withPasswords === true
        ? changed(
            BASE,
            CLIENTS,
            `enablePasswordDB: true
${CLIENTS}`,
          )
        : BASE
    const text = from === BASE ? to : changed(base, from, to)
    const load = loadDex(text, world)
    const found = load.findings.find((finding) => finding.code === code && finding.severity === severity)
    if (found === undefined) {
      t.fail(
        `no such finding among ${load.findings.map((finding) => `${finding.severity} ${finding.code}`).join(', ')}`,
      )
      return
    }
    if (at !== '') t.equal(found.place?.line, lineOf(text, at), 'the line it points at')
    if (message !== undefined) t.match(found.message, message)
    if (wayOut !== undefined) t.match(found.wayOut, wayOut)
    const expected = severity === 'error' ? [code] : []
    t.same([...new Set(errorsOf(load).map((finding) => finding.code))], expected, 'nothing else refuses')
    t.equal(load.config === undefined, severity === 'error', 'an error, and only an error, refuses')
  })
}

t.test('every code has a case here', async (t) => {
  const tested = new Set(CASES.map(({ code }) => code))
  t.same(
    Object.keys(DEX_CODES).filter((code) => ![...tested].some((name) => name === code)),
    [],
  )
})

t.test('everything that is wrong is said at once', async (t) => {
  let text = changed(BASE, '10m', '7d')
  text = changed(text, 'id: keycloak', 'id: gitlab')
  text = changed(text, 'http: 127.0.0.1:5556', 'http: nowhere')
  t.same(
    errorsOf(loadDex(text)).map(({ code }) => code),
    ['address_malformed', 'duration_malformed', 'connector_id_repeated'],
    'in the order of the file',
  )
})

function lineOf(text: string, at: string): number {
  const offset = text.indexOf(at)
  if (offset === -1) throw new Error(`${JSON.stringify(at)} does not stand in the changed file`)
  return text.slice(0, offset).split('\n').length
}
