// The flags of auth-config that trust a forge without the broker: what has to come with what, and what an id looks like.
import { forgejoActions } from '#core/issuer/forgejo_actions.ts'
import { FORGE_PREFIXES, planForgejo, planGitlab } from '#core/kube/forge_issuers.ts'
import type { ForgePlan } from '#core/kube/forge_issuers.ts'
import { prefixProblem } from '#core/kube/policy_subjects.ts'
import type { CommandIo } from '../command.ts'
import type { AuthConfigFlags } from './auth_config.ts'
import { isComplaint } from './kube_audience.ts'
import type { Complaint } from './kube_audience.ts'
import { readTrustedCa } from './trusted_ca.ts'

const ID = /^[1-9]\d{0,19}$/
/** What forges allow in names, and nothing that CEL or YAML would read as more than a text. */
const PATH = /^[\w.-]{1,100}\/[\w.-]{1,100}$/

/** `audience`: what jobs ask the forge for, unless --forge-audience says another. */
export async function planForges(
  flags: AuthConfigFlags,
  audience: string,
  io: CommandIo,
): Promise<readonly ForgePlan[] | Complaint> {
  const plans: ForgePlan[] = []
  const asked = flags.forgeAudience ?? audience
  for (const plan of [await gitlab(flags, asked, io), await forgejo(flags, asked, io)]) {
    if (plan === undefined) continue
    if (isComplaint(plan)) return plan
    plans.push(plan)
  }
  return plans
}

async function gitlab(
  flags: AuthConfigFlags,
  audience: string,
  io: CommandIo,
): Promise<ForgePlan | Complaint | undefined> {
  const projectIds = flags.gitlabProject ?? []
  const namespaceIds = flags.gitlabNamespace ?? []
  const pins = [...projectIds, ...namespaceIds]
  if (flags.gitlab === undefined) {
    if (flags.gitlabPrefix !== undefined) return missing('--gitlab-prefix', '--gitlab URL')
    return pins.length === 0 ? undefined : missing('--gitlab-project', '--gitlab URL')
  }
  if (pins.length === 0)
    return missing(
      '--gitlab',
      '--gitlab-project ID or --gitlab-namespace ID: without one, every project of it would be let in',
    )
  const wrong = pins.find((id) => !ID.test(id))
  if (wrong !== undefined)
    return noId(
      'GitLab',
      wrong,
      "a number: the project's Settings, General shows it; a path can be registered again",
    )
  const url = forgeUrl('--gitlab', flags.gitlab)
  if (typeof url === 'object') return url
  const prefix = forgePrefix('--gitlab-prefix', flags.gitlabPrefix ?? FORGE_PREFIXES.gitlab)
  if (typeof prefix === 'object') return prefix
  const ca = flags.gitlabCaFile === undefined ? undefined : await readTrustedCa(flags.gitlabCaFile, io)
  if (ca !== undefined && isComplaint(ca)) return ca
  return planGitlab({ url, audience, ca, prefix, projectIds, namespaceIds })
}

async function forgejo(
  flags: AuthConfigFlags,
  audience: string,
  io: CommandIo,
): Promise<ForgePlan | Complaint | undefined> {
  const repositories = flags.forgejoRepository ?? []
  if (flags.forgejo === undefined) {
    if (flags.forgejoPrefix !== undefined) return missing('--forgejo-prefix', '--forgejo URL')
    return repositories.length === 0 ? undefined : missing('--forgejo-repository', '--forgejo URL')
  }
  if (repositories.length === 0)
    return missing(
      '--forgejo',
      '--forgejo-repository ID: without one, every repository of it would be let in',
    )
  const repositoryIds = repositories.filter((one) => ID.test(one))
  const repositoryPaths = repositories.filter((one) => !ID.test(one))
  const wrong = repositoryPaths.find((one) => !PATH.test(one))
  if (wrong !== undefined) return noId('Forgejo', wrong, 'a number (Forgejo 16 and later), or owner/name')
  if (repositoryIds.length > 0 && repositoryPaths.length > 0) {
    return {
      message:
        'ids and paths of Forgejo repositories stand side by side: a user has to have one kind of name',
      wayOut: 'give ids alone; paths only for Forgejo 15, which sends no ids',
    }
  }
  const url = forgeUrl('--forgejo', flags.forgejo)
  if (typeof url === 'object') return url
  if (repositoryPaths.length > 0 && forgejoActions.isShared(url)) {
    return {
      message: `strangers register paths at ${url}: the next owner of one would be let in`,
      wayOut: 'pin the id of the repository: --forgejo-repository 456',
    }
  }
  const prefix = forgePrefix('--forgejo-prefix', flags.forgejoPrefix ?? FORGE_PREFIXES.forgejo)
  if (typeof prefix === 'object') return prefix
  const ca = flags.forgejoCaFile === undefined ? undefined : await readTrustedCa(flags.forgejoCaFile, io)
  if (ca !== undefined && isComplaint(ca)) return ca
  return planForgejo({ url, audience, ca, prefix, repositoryIds, repositoryPaths })
}

/** Without the slash at the end that no forge has in its `iss`. */
function forgeUrl(flag: string, text: string): string | Complaint {
  const url = URL.parse(text)
  const isPlain = url?.protocol === 'https:' && url.username === '' && url.search === '' && url.hash === ''
  if (isPlain && /^https:\/\/[\w./:[\]-]+$/.test(text)) return text.replace(/\/+$/, '')
  return {
    message: `${flag} ${text} is no plain https address`,
    wayOut: 'write https://HOST, as a browser shows the forge',
  }
}

/** Unlike the broker's it cannot be empty: a forge's names are made of what its users call things. */
function forgePrefix(flag: string, prefix: string): string | Complaint {
  const problem = prefix === '' ? "its names could be anybody else's" : prefixProblem(prefix)
  if (problem === undefined) return prefix
  return {
    message: `${flag} ${JSON.stringify(prefix)} cannot be used: ${problem}`,
    wayOut: 'choose a short word and a colon, such as gitlab-2:',
  }
}

function missing(flag: string, other: string): Complaint {
  return { message: `${flag} needs ${other}`, wayOut: 'give both, or neither' }
}

function noId(forge: string, got: string, wanted: string): Complaint {
  return { message: `${JSON.stringify(got)} names no ${forge} repository for good`, wayOut: `give ${wanted}` }
}
