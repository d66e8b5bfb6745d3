// The table of issuer kinds. Everything that is known of one kind stands in its own file; nothing else in the broker
// branches on a preset's name.
import { azureDevops } from './azure_devops.ts'
import { buildkite } from './buildkite.ts'
import { circleci } from './circleci.ts'
import { forgejoActions } from './forgejo_actions.ts'
import { genericOidc } from './generic_oidc.ts'
import { giteaActions } from './gitea_actions.ts'
import { githubActions } from './github_actions.ts'
import { gitlabCi } from './gitlab_ci.ts'
import { keycloak } from './keycloak.ts'
import { kubernetes } from './kubernetes.ts'
import type { IssuerPreset, PresetName } from './preset.ts'

const PRESETS = {
  oidc: genericOidc,
  'gitlab-ci': gitlabCi,
  'github-actions': githubActions,
  'forgejo-actions': forgejoActions,
  'gitea-actions': giteaActions,
  keycloak,
  kubernetes,
  buildkite,
  circleci,
  'azure-devops': azureDevops,
} as const satisfies Readonly<Record<PresetName, IssuerPreset>>

export const ALL_PRESETS: readonly IssuerPreset[] = Object.values(PRESETS)

export function presetOf(name: PresetName): IssuerPreset {
  return PRESETS[name]
}

/** The kind that knows `issuer` as one that strangers' jobs get tokens from, whatever type a connector gives it. */
export function sharedPreset(issuer: string): IssuerPreset | undefined {
  return ALL_PRESETS.find((preset) => preset.isShared(issuer))
}
