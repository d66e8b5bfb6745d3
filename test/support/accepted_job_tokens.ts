// The tokens of jobs that stand in test/fixtures, and what each preset reads from them.
import type { PresetName, SourceFacts } from '../../src/core/issuer/preset.ts'

type Accepted = {
  readonly fixture: string
  readonly preset: PresetName
  readonly id: string
  readonly facts: SourceFacts
}

/** Every token of a job, the id it stands for and what it says of its source. */
export const ACCEPTED: readonly Accepted[] = [
  {
    fixture: 'gitlab-push-main',
    preset: 'gitlab-ci',
    id: '48291',
    facts: {
      ci: 'gitlab-ci',
      source: 'gitlab.example.test/acme-platform/terraform-aws-eks',
      repository: 'acme-platform/terraform-aws-eks',
      repository_id: '48291',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '8fe1b322a576d59fe6257052a4107df7dc1b8c78',
      run_id: '1519139981',
      environment: 'production',
    },
  },
  {
    fixture: 'github-legacy-main',
    preset: 'github-actions',
    id: '739500857',
    facts: {
      ci: 'github-actions',
      source: 'github.com/acme-labs/terraform-aws-eks',
      repository: 'acme-labs/terraform-aws-eks',
      repository_id: '739500857',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: 'f43beaff59a2a4d87284cf614f0ba73729b86e17',
      run_id: '7425234885',
    },
  },
  {
    fixture: 'github-immutable-environment',
    preset: 'github-actions',
    id: '901234567',
    facts: {
      ci: 'github-actions',
      source: 'github.com/acme-labs/terraform-aws-vpc',
      repository: 'acme-labs/terraform-aws-vpc',
      repository_id: '901234567',
      ref: 'refs/tags/v1.4.0',
      ref_type: 'tag',
      sha: '3333333333333333333333333333333333333333',
      run_id: '8800000001',
      environment: 'production',
    },
  },
  {
    fixture: 'github-custom-sub-enterprise',
    preset: 'github-actions',
    id: '740000001',
    facts: {
      ci: 'github-actions',
      source: 'github.com/acme-labs/app',
      repository: 'acme-labs/app',
      repository_id: '740000001',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '4444444444444444444444444444444444444444',
      run_id: '7425230001',
      environment: 'Production:V1',
    },
  },
  {
    fixture: 'forgejo15-main',
    preset: 'forgejo-actions',
    id: 'acme/terraform-module-net',
    facts: {
      ci: 'forgejo-actions',
      source: 'git.example.test/acme/terraform-module-net',
      repository: 'acme/terraform-module-net',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '6666666666666666666666666666666666666666',
      run_id: '4711',
    },
  },
  {
    fixture: 'forgejo16-immutable-main',
    preset: 'forgejo-actions',
    id: '456',
    facts: {
      ci: 'forgejo-actions',
      source: 'git.example.test/acme/terraform-module-dns',
      repository: 'acme/terraform-module-dns',
      repository_id: '456',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '7777777777777777777777777777777777777777',
      run_id: '4801',
    },
  },
  {
    fixture: 'gitea-main',
    preset: 'gitea-actions',
    id: '345',
    facts: {
      ci: 'gitea-actions',
      source: 'gitea.example.test/acme/infra',
      repository: 'acme/infra',
      repository_id: '345',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '9999999999999999999999999999999999999999',
      run_id: '901',
    },
  },
  {
    fixture: 'keycloak-service-account',
    preset: 'keycloak',
    id: 'd952cf23-bf92-4c8f-a3ff-4972b4f2bc5b',
    facts: {},
  },
  { fixture: 'k8s-projected', preset: 'kubernetes', id: 'e6a8680e-d103-4cce-80ea-03acbbeacf7d', facts: {} },
  {
    fixture: 'buildkite',
    preset: 'buildkite',
    id: '0184990a-4782-42b5-afc1-16715b10b8ff',
    facts: {
      ci: 'buildkite',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: '9f3182061f1e2cca4702c368cbc039b7dc9d4485',
      run_id: '1',
    },
  },
  {
    fixture: 'circleci',
    preset: 'circleci',
    id: '0a1b2c3d-0000-4000-8000-000000000002',
    facts: {
      ci: 'circleci',
      source: 'github.com/acme/infra',
      repository: 'acme/infra',
      ref: 'refs/heads/main',
      ref_type: 'branch',
    },
  },
  {
    fixture: 'azure-devops',
    preset: 'azure-devops',
    id: '66666666-7777-8888-9999-000000000000/17',
    facts: {
      ci: 'azure-devops',
      source: 'dev.azure.com/acme/platform/_git/infra',
      repository: 'acme/platform/_git/infra',
      repository_id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: 'abcabcabcabcabcabcabcabcabcabcabcabcabca',
      run_id: '2201',
    },
  },
]
