// The flags that say for which cluster names are made: the audience, and the prefixes that auth-config writes. rbac has to be
// called with the same ones, or its bindings name nobody.
import type { Command } from 'commander'
import type { ConfigFlags } from '../config_source.ts'
import { addConfigFlags } from '../config_source.ts'

export type NamingFlags = ConfigFlags & {
  readonly audience?: string
  readonly usernameClaim?: string
  readonly usernamePrefix: string
  readonly groupsPrefix: string
}

/** So that nobody whom the broker lets in bears the name of a person, a certificate or a ServiceAccount. */
const PREFIX = 'ci:'

export function addNamingFlags(command: Command): Command {
  return addConfigFlags(command)
    .option('--audience <id>', 'audience of the cluster (default: the only one of the profile kubernetes)')
    .option('--username-claim <claim>', 'claim that names the user (default: username; Dex: email)')
    .option('--username-prefix <prefix>', 'what stands before every user name', PREFIX)
    .option('--groups-prefix <prefix>', 'what stands before every group', PREFIX)
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
