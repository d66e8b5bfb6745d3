// `config from-dex`: a loaded Dex configuration written down as sallyport.yaml, with a word where an operator has to
// do something. Never prints a secret: a variable where the Dex file names one, a hash otherwise.
import { Document } from 'yaml'
import type { BrokerConfig } from '../broker_config.ts'
import type { DexConfigLoad } from './load.ts'
import { caFileOf, toNativeForm } from './native_form.ts'
import { admitsStrangers, openPolicyName } from './native_form_policies.ts'

/** Text of sallyport.yaml; `undefined` when the Dex configuration does not load. */
export function printNativeConfig(load: DexConfigLoad): string | undefined {
  const { config, report } = load
  if (config === undefined || report === undefined) return undefined
  const { sections, left } = toNativeForm(config, load.secretVariables)
  const parts = Object.entries(sections)
    .filter(([, section]) => !isNothing(section))
    .map(([name, section]) => `${comment(wordsFor(name, config))}${yaml({ [name]: section })}`)
  return `${comment(header(report.file, left))}\n${parts.join('\n')}`
}

function header(file: string, left: readonly string[]): readonly string[] {
  const lines = [
    `sallyport.yaml made from ${file} by \`sallyport config from-dex\`.`,
    'Relative paths start from the folder of this file; in Dex they started from where dex was started.',
  ]
  if (left.length === 0) return lines
  return [...lines, '', 'Left out:', ...left.map((line) => `  ${line}`)]
}

function wordsFor(name: string, config: BrokerConfig): readonly string[] {
  switch (name) {
    case 'store':
      return ["Ours alone: Dex's data is never opened."]
    case 'keys':
      return ['The keys are new. On the same issuer see `sallyport config from-dex --keys`.']
    case 'connectors':
      return config.connectors.flatMap((connector) => {
        const { caPem } = connector.tls
        if (connector.kind !== 'issuer' || caPem === undefined) return []
        return [`Write this into ${caFileOf(connector)}:`, ...caPem.trimEnd().split('\n')]
      })
    case 'clients':
      return ['Hashes stand for secrets that stood in the Dex file; the secrets themselves stay as they are.']
    case 'policies': {
      const open = config.connectors.filter(
        (connector) =>
          connector.kind === 'issuer' &&
          !connector.needsPolicy &&
          connector.gitlabApi === undefined &&
          !admitsStrangers(connector),
      )
      if (open.length === 0) return []
      return [
        `${open.map(({ id }) => openPolicyName(id)).join(', ')}: Dex's rule. Whoever has a token of the issuer for this broker may ask.`,
        'Pin who may come instead: claims: {project_id: "42"}, and list only the audiences that they need.',
      ]
    }
    default:
      return []
  }
}

function yaml(data: unknown): string {
  return new Document(data, { aliasDuplicateObjects: false }).toString({ lineWidth: 0 })
}

function comment(lines: readonly string[]): string {
  return lines.map((line) => (line === '' ? '#\n' : `# ${line}\n`)).join('')
}

function isNothing(section: unknown): boolean {
  return section === undefined || (Array.isArray(section) && section.length === 0)
}
