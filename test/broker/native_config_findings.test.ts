// One case for each finding code: what was changed in the valid file, where the finding points and what it advises.
import t from 'tap'
import { DOCUMENT_CODES, NATIVE_CODES } from '../../src/broker/config/finding_codes.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { configEnv, FILES, VALID_CONFIG } from '../support/native_config.ts'
import { CLIENT_CASES } from './native_findings/client_cases.ts'
import { CONNECTOR_CASES } from './native_findings/connector_cases.ts'
import { DOCUMENT_CASES } from './native_findings/document_cases.ts'
import { KUBE_CASES } from './native_findings/kube_cases.ts'
import { SERVER_CASES } from './native_findings/server_cases.ts'

const CASES = [...DOCUMENT_CASES, ...SERVER_CASES, ...CONNECTOR_CASES, ...CLIENT_CASES, ...KUBE_CASES]

for (const one of CASES) {
  t.test(`${one.says}: ${one.code}, with its place`, (t) => {
    t.equal(VALID_CONFIG.split(one.from).length - 1 > 0, true, 'the valid file holds what the case changes')
    const [old = '', renamed = ''] = one.rename ?? []
    const text = VALID_CONFIG.replace(old, renamed).replace(one.from, () => one.to)
    const env = configEnv({
      ...(one.files && { files: one.files }),
      ...(one.env && { env: one.env }),
      ...(one.modes && { modes: one.modes }),
    })
    const { config, findings } = loadNativeConfig('sallyport.yaml', text, env)
    const finding = findings.find((candidate) => candidate.code === one.code)
    t.equal(finding?.severity, one.severity ?? 'error', findings.map((each) => each.code).join(' '))
    t.equal(
      config === undefined,
      findings.some((each) => each.severity === 'error'),
    )
    if (one.at !== '') t.same(finding?.place, placeIn(text, one.at))
    else t.ok(finding?.place)
    if (one.wayOut !== undefined) t.match(finding?.wayOut, one.wayOut)
    t.end()
  })
}

t.test('every documented code has a case, and every case a documented code', (t) => {
  const documented = [...Object.keys(DOCUMENT_CODES), ...Object.keys(NATIVE_CODES)].toSorted()
  t.same([...new Set(CASES.map((one) => one.code))].toSorted(), documented)
  t.end()
})

t.test('the valid file that every case changes has no finding, and all its files are used', (t) => {
  const asked = new Set<string>()
  const env = configEnv()
  const readFile = (path: string) => {
    asked.add(path)
    return env.readFile(path)
  }
  t.same(loadNativeConfig('sallyport.yaml', VALID_CONFIG, { ...env, readFile }).findings, [])
  t.same(
    Object.keys(FILES).filter((path) => !path.includes('/.sallyport/') && !asked.has(path)),
    [],
  )
  t.end()
})

function placeIn(text: string, needle: string): { file: string; line: number; column: number } {
  const offset = text.indexOf(needle)
  const before = text.slice(0, offset).split('\n')
  return { file: 'sallyport.yaml', line: before.length, column: (before.at(-1) ?? '').length + 1 }
}
