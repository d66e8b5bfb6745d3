// Clients.
import { CI, error, note, warning } from './case.ts'
import type { Case } from './case.ts'

export const CLIENT_CASES: readonly Case[] = [
  // clients
  error(
    'client_id_missing',
    'a client without id',
    '  - id: kubernetes\n    name',
    '  - name',
    'name: Kubernetes',
    {
      message: /^invalid config: ID or IDEnv field is required for a client$/,
    },
  ),
  error(
    'client_id_twice',
    'a client with id and idEnv',
    '    name: Kubernetes',
    '    idEnv: CI_CLIENT_ID\n    name: Kubernetes',
    'idEnv',
  ),
  error(
    'client_id_repeated',
    'two clients with one id',
    CI,
    CI.replace('dex-client-ci-token-exchange@d8-user-authn', 'kubernetes'),
    'id: kubernetes\n    name: ci',
  ),
  error('client_name_missing', 'a client without name', '    name: Kubernetes\n', '', 'id: kubernetes'),
  error(
    'client_secret_empty',
    'a confidential client without secret',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secret: ""\n',
    'secret: ""',
    {
      message: /^invalid config: Secret or SecretEnv field is required for client/,
    },
  ),
  error(
    'client_secret_twice',
    'a client with secret and secretEnv',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secretEnv: CI_CLIENT_SECRET\n    secret: x\n',
    'secretEnv: CI',
  ),
  error(
    'client_secret_literal',
    'a variable as secret',
    'secretEnv: CI_CLIENT_SECRET',
    'secret: ${CI_CLIENT_SECRET}',
    'secret: ${CI',
    {
      wayOut: /secretEnv: CI_CLIENT_SECRET/,
    },
  ),
  warning(
    'client_public_with_secret',
    'a public client with a secret',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secretEnv: CI_CLIENT_SECRET\n    public: true\n',
    'public',
  ),
  note(
    'client_grants_honoured',
    'a list of grants at a client',
    CI,
    `${CI}    grantTypes: [urn:ietf:params:oauth:grant-type:token-exchange]\n`,
    'grantTypes',
  ),
  warning(
    'client_grant_off',
    'a client with a grant that is off',
    CI,
    `${CI}    grantTypes: [client_credentials]\n`,
    'grantTypes',
  ),
  warning(
    'peer_unknown',
    'a peer that is not there',
    '      - dex-client-ci',
    '      - nobody\n      - dex-client-ci',
    'trustedPeers',
  ),
]
