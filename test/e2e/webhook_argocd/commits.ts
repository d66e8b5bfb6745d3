// What the team commits: manifests of Modules, and the commits that are denied.
import { moduleText, NAMESPACE } from './world.ts'
import type { Fields } from './world.ts'

type DeniedCommit = {
  readonly title: string
  readonly module: (text: string) => string
  readonly says: readonly (string | RegExp)[]
}

const BACK_IN_GIT = '. Instead: put what was published back in git and add to it; to unpublish for good: '

export const DENIED_COMMITS: readonly DeniedCommit[] = [
  {
    title: 'a version removed',
    module: (text) => text.replace('    - version: "21.11.0"\n', ''),
    says: [/^WH-V1: version 21\.11\.0 was published/, BACK_IN_GIT],
  },
  {
    title: 'a version replaced in its place',
    module: (text) => text.replace('21.11.0', '21.11.1'),
    says: [/^WH-V3: version 21\.11\.0 was published/, BACK_IN_GIT],
  },
  {
    title: 'another repository behind the same versions',
    module: (text) => text.replace('repoOwner: my-org', 'repoOwner: somebody-else'),
    says: [/^WH-M2: /, /Instead: /],
  },
  {
    title: 'immutable taken back',
    module: (text) => text.replace('    immutable: true\n', ''),
    says: [/^WH-M4: this Module is immutable and would stop being so\. Instead: leave immutable: true$/],
  },
  {
    title: 'all of it in one commit',
    module: (text) =>
      text
        .replaceAll('"21.', '"22.')
        .replaceAll('my-org', 'somebody-else')
        .replace('fileFormat: zip', 'fileFormat: tar')
        .replace('    immutable: true\n', ''),
    says: [/^\(1\) WH-/, / \(2\) WH-/, / WH-M2: /, / WH-M4: /, / WH-M6: /],
  },
]

/** One that Argo CD deletes and creates again with each change. */
export function hastyModule(name: string, config: Fields = {}): string {
  const annotations = { 'argocd.argoproj.io/sync-options': 'Force=true,Replace=true' }
  return moduleText(name, { versions: ['1.0.0'], annotations, config })
}

export function annotated(module: string, annotation: string): string {
  return module.replace(
    `  namespace: ${NAMESPACE}\n`,
    `  namespace: ${NAMESPACE}\n  annotations:\n    ${annotation}\n`,
  )
}

/** A Module whose version is pinned to the commit that is this digit alone. */
export function pinnedTo(digit: string | undefined): string {
  const annotations = digit === undefined ? {} : { 'sallyport.dev/pins': `1.0.0=${digit.repeat(40)}` }
  return moduleText('terraform-aws-iam', { versions: ['1.0.0'], annotations })
}

export function withVersion(module: string, version: string): string {
  return `${module}    - version: "${version}"\n`
}
