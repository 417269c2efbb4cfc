# SPDX-License-Identifier: Apache-2.0
"""Mechanisms of the image stores of a fleet, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

_STORES, _HOST = "tests/service/test_image_stores.py", "tests/service/test_fleet_host_images.py"
_THREADS = "tests/unit/base/test_threads.py"
_URLS = f"{_STORES}::test_a_url_that_is_not_valid_is_refused"

MUTANTS_OF_IMAGES: Sequence[Mutant] = (
    one(
        "the hash of a fetched image",
        f"{_HOST}::test_a_store_with_other_bytes_is_refused_doubted_and_repaired",
        "compute/image_cache.py",
        "return digest.hexdigest() == image.sha512",
        "return True",
    ),
    one(
        "a download that goes on where it was cut",
        f"{_HOST}::test_a_download_that_a_store_cuts_continues_at_the_other",
        "images/download.py",
        "self._client.read(place.url, at)",
        "self._client.read(place.url, 0)",
    ),
    one(
        "a file that is opened for a cancelled caller is closed",
        f"{_THREADS}::test_a_file_is_closed_whose_caller_is_cancelled_while_a_worker_opens_it",
        "base/threads.py",
        "            self._closed = True\n            if self._file is not None:\n                self._file.close()\n",
        "            self._closed = True\n",
    ),
    one(
        "a cancelled fetch leaves no file",
        "tests/unit/compute/test_image_cache.py::test_a_fetch_that_is_cancelled_while_its_file_is_opened_leaves_nothing",
        "base/threads.py",
        '            if self._closed:\n                raise RuntimeError("the caller',
        '            if False:\n                raise RuntimeError("the caller',
    ),
    one("URLs of stores that expire", _URLS, "images/signing.py", "if at >= permit.until:", "if False:"),
    one(
        "the signature of a store's URL",
        _URLS,
        "images/signing.py",
        'if key is None or not hmac.compare_digest(_signature(permit, key), given.get("signature", "").encode()):',
        "if key is None:",
    ),
    one(
        "images only for the legs that need them",
        f"{_HOST}::test_a_host_gets_no_image_that_no_leg_needs",
        "conductor/image_stores.py",
        "elif not _is_needed(tx, request.host, request.image_id):",
        "elif False:",
    ),
    one(
        "the receipt of a store",
        f"{_HOST}::test_a_report_without_a_receipt_of_a_store_is_refused",
        "conductor/image_stores.py",
        "    check_receipt(image_id, request.attempt, saved, read_stores.keys(tx))\n",
        "",
    ),
    one(
        "a second look at the record before a file is replaced",
        f"{_STORES}::test_an_upload_that_ends_too_late_changes_nothing",
        "api/image/fleet_store.py",
        "            await self._saving(image_id)  # a slow upload must not replace the file of a complete image\n",
        "",
    ),
    one(
        "the second copy",
        f"{_STORES}::test_the_death_of_the_receiver_after_active_loses_nothing",
        "api/image/fleet_store.py",
        "            if len(done) + 1 >= self.identity.copies:\n",
        "            if True:\n",
    ),
    one(
        "the repair of a lost copy",
        f"{_STORES}::test_a_store_that_does_not_answer_gets_its_copy_later",
        "api/image/upkeep.py",
        "            await self._store.fetch(image)\n",
        "            pass\n",
    ),
    one(
        "uploads that belong to other processes",
        f"{_STORES}::test_the_upload_of_a_dead_process_is_given_up_and_another_ones_is_not",
        "api/image/upkeep.py",
        "if image.uploader in {*processes, self._store.uploader} or now",
        "if now",
    ),
    one(
        "the time that other processes have to report",
        f"{_STORES}::test_the_upload_of_a_dead_process_is_given_up_and_another_ones_is_not",
        "api/image/upkeep.py",
        " or not self._may_judge():",
        ":",
    ),
    one(
        "a store that is not mounted",
        f"{_STORES}::test_a_directory_that_is_not_mounted_is_not_taken_for_an_empty_store",
        "api/image/upkeep.py",
        "if await self._files.identity() != self._id:",
        "if False:",
    ),
    one(
        "the only copy of an image stays",
        f"{_STORES}::test_the_only_copy_is_not_removed",
        "api/image/upkeep.py",
        "elif doubted is None or any(holders[one] is False for one in holders if one != self._id):",
        "elif True:",
    ),
    one(
        "cached images in use stay on a full disk",
        "tests/unit/compute/test_image_cleanup.py::test_a_full_disk_takes_the_longest_unused_and_nothing_in_use",
        "compute/image_cache.py",
        "        if os.path.realpath(path) not in kept and path.stat().st_mtime < before\n    ]",
        "        if path.stat().st_mtime < before\n    ]",
    ),
)
