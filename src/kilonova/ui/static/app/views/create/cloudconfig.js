// SPDX-License-Identifier: Apache-2.0
/** What user data is, and what is wrong in a cloud-config. */
import { load, YAMLException } from "js-yaml";
import { t } from "../../words/index.js";

/** @typedef {import("./userdata.js").Verdict} Verdict */

/** Keys at the top of a cloud-config, from the reference of the modules of cloud-init. */
const KEYS = new Set(
  `allow_public_ssh_keys ansible apk_repos apt authkey_hash bootcmd byobu_by_default ca_certs chef chpasswd cloud_config_modules
  cloud_final_modules cloud_init_modules create_hostname_file datasource datasource_list device_aliases disable_ec2_metadata disable_root
  disable_root_opts disk_setup drivers fan final_message fqdn fs_setup groups growpart grub_dpkg hostname keyboard keyvalue landscape launch-index
  locale locale_configfile lxd manage_etc_hosts mcollective merge_how merge_type migrate mount_default_fields mounts network no_ssh_fingerprints ntp
  output package_reboot_if_required package_update package_upgrade packages password phone_home power_state prefer_fqdn_over_hostname
  preserve_hostname puppet random_seed reporting resize_rootfs resolv_conf rh_subscription rpi rsyslog runcmd salt_minion snap spacewalk ssh
  ssh_authorized_keys ssh_deletekeys ssh_fp_console_blacklist ssh_genkeytypes ssh_import_id ssh_key_console_blacklist ssh_keys ssh_publish_hostkeys
  ssh_pwauth ssh_quiet_keygen swap system_info timezone ubuntu_advantage ubuntu_pro updates user users vendor_data version wireguard write_files
  yum_repo_dir yum_repos zypper`.split(/\s+/),
);
const LISTS = ["bootcmd", "runcmd", "packages", "write_files", "ssh_authorized_keys", "groups", "mounts"];

/** @param {string} text @returns {Verdict} */
export function judge(text) {
  const first = text.split("\n", 1)[0]?.trim() ?? "";
  if (/^#cloud-config\b/.test(first)) return judgeCloudConfig(text);
  if (first.startsWith("#!")) return { tone: "good", text: t("userdata.script", { program: first.slice(2) }) };
  if (/^(Content-Type:|MIME-Version:)/i.test(first)) return { tone: "good", text: t("userdata.multipart") };
  if (/^#(include|include-once|upstart-job|cloud-boothook|part-handler|cloud-config-archive)\b|^## template:/.test(first)) {
    return { tone: "good", text: t("userdata.other", { kind: first }) };
  }
  return { tone: "attention", text: t("userdata.unknown") };
}

/** @param {string} text @returns {Verdict} */
function judgeCloudConfig(text) {
  /** @type {unknown} */
  let found;
  try {
    found = load(text);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const line = /** @type {any} */ (error).mark?.line;
    return { tone: "bad", text: t("userdata.notYaml", { line: line === undefined ? "?" : line + 1, reason: error.reason }) };
  }
  if (found === null || found === undefined) return { tone: "attention", text: t("userdata.emptyConfig") };
  if (typeof found !== "object" || Array.isArray(found)) return { tone: "bad", text: t("userdata.noMapping") };
  const config = /** @type {Record<string, unknown>} */ (found);
  const noList = LISTS.find((key) => key in config && !Array.isArray(config[key]) && !(key === "groups" && typeof config[key] === "string"));
  if (noList) return { tone: "bad", text: t("userdata.noList", { key: noList }) };
  const unknown = Object.keys(config).filter((key) => !KEYS.has(key));
  if (unknown.length > 0) return { tone: "attention", text: t("userdata.unknownKeys", { keys: unknown.join(", ") }) };
  return { tone: "good", text: t("userdata.good", { keys: Object.keys(config).join(", ") }) };
}
