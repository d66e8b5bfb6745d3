// Builds and fetches every peer ahead of the end-to-end tests. usage: prepare_peers.ts
import { kubeBinaries, kubeVersions } from './kube_binaries.ts'
import {
  argocdFolder,
  dex2451Binary,
  dexBinary,
  exprOracleBinary,
  keycloakHome,
  kubeAuthnOracleBinary,
  policyReportDefinitions,
  prometheusFolder,
} from './peers.ts'

const makers = [
  dexBinary,
  dex2451Binary,
  keycloakHome,
  kubeAuthnOracleBinary,
  exprOracleBinary,
  policyReportDefinitions,
  argocdFolder,
  prometheusFolder,
]
for (const make of makers) console.log(await make())
for (const version of kubeVersions()) console.log((await kubeBinaries(version)).apiserver)
