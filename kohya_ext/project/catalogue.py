"""Every error code with its title, usual cause and cure; docs/errors.md is made from this table.

Blocks: LL1xx project and command line; LL2xx pictures, dataset, captions; LL3xx training;
LL4xx WebUI and cells; LL5xx grids; LL6xx showcase and publishing; LL7xx inside the hosts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue; whole sentences."""

    title: str
    cause: str
    cure: str


CATALOGUE: dict[str, Entry] = {
    # -- LL1xx: project, files, command line ------------------------------------------------
    "LL101": Entry(
        "No LoRA project in this folder",
        "The folder has no lora-project.yaml.",
        "Name the project's folder, or make one with `loraloom init`.",
    ),
    "LL102": Entry(
        "The manifest is wrong",
        "lora-project.yaml has an unknown key, a wrong type or a value out of range.",
        "Correct the line that the message names.",
    ),
    "LL103": Entry(
        "A folder is missing",
        "The path does not exist or is not a folder.",
        "Check the spelling of the path.",
    ),
    "LL104": Entry(
        "A folder or file cannot be read",
        "The operating system refused access.",
        "Check the permissions, and that no other program holds the file.",
    ),
    "LL105": Entry(
        "The trigger word is unusable",
        "It is empty, or has characters that a folder name or a prompt cannot hold.",
        "Choose a word of letters, digits and blanks, for example Quillfox.",
    ),
    "LL106": Entry(
        "There is a project already",
        "`init` found a lora-project.yaml in that folder.",
        "Choose another folder, or edit the manifest that is there.",
    ),
    "LL107": Entry(
        "The manifest is of a newer loraloom",
        "Its format number is higher than this version knows.",
        "Fetch the newest loraloom and install it again.",
    ),
    "LL108": Entry(
        "An unknown command",
        "The word after `loraloom` is not a command of it or of a plugin.",
        "See `loraloom --help`.",
    ),
    "LL109": Entry(
        "A plugin cannot be loaded",
        "A package that adds a command to loraloom raised an error while it was imported.",
        "Update or remove the package that the message names.",
    ),
    "LL110": Entry(
        "The disk is full",
        "Writing stopped for lack of space; the file that was there before is unharmed.",
        "Free some space and run the same command again.",
    ),
    "LL111": Entry(
        "A file cannot be written",
        "The operating system refused it, for example because another program holds the file.",
        "Close the other program, or check the permissions, and run the command again.",
    ),
    "LL112": Entry(
        "A file is in the way",
        "The target exists and loraloom does not overwrite files of yours.",
        "Move the file away, or choose another name.",
    ),
    "LL113": Entry(
        "A real person without a recorded consent",
        "The manifest says that the subject is a person and records no consent.",
        "Record it under subject.consent: who agreed, on which day, and to what.",
    ),
    "LL114": Entry(
        "The settings file is damaged",
        "settings.json in loraloom's user folder is not a valid JSON object.",
        "Correct it, or delete it and name the paths again.",
    ),
    "LL115": Entry(
        "The journal is damaged",
        "A line of journal.jsonl in the middle of the file is not a valid JSON object.",
        "Restore the file from a backup, or delete the line that the message names.",
    ),
    "LL116": Entry(
        "A program cannot be started",
        "The file does not exist, is no program, or may not be run.",
        "Check the path that the message names.",
    ),
    "LL118": Entry(
        "A step of the demo did not leave what it should",
        "The demo looks at the result of every step, and one is not as it must be.",
        "This is a fault of loraloom: report it with the demo's output.",
    ),
    "LL119": Entry(
        "The simulated WebUI did not start",
        "The simulated WebUI ended or did not say its address in time.",
        "See the file that the message names.",
    ),
    "LL120": Entry(
        "The operating system refused something",
        "A file, folder or port that a command needs cannot be used.",
        "Check what the message names: the path, its permissions, other programs.",
    ),
    "LL121": Entry(
        "A package of loraloom is missing",
        "It was started from a clone that was never installed into this Python.",
        "Install it there: python -m pip install . in the folder of the repository.",
    ),
    # -- LL13x: LoRA files --------------------------------------------------------------------
    "LL130": Entry(
        "No safetensors file",
        "The file is empty, shorter than its header says, or its header is no valid JSON.",
        "Copy or train the file again.",
    ),
    "LL131": Entry(
        "A safetensors file is cut short",
        "The header promises more bytes than the file holds, as after a full disk or a killed run.",
        "Delete the file and use another epoch, or train again.",
    ),
    "LL132": Entry(
        "A hostile or damaged safetensors header",
        "Header too large, offsets overlap, leave holes or lie outside the file, or wrong types.",
        "Do not use the file; get it again from where it came.",
    ),
    "LL133": Entry(
        "No epoch files",
        "The folder holds no LoRA file with training metadata.",
        "Train first, or name the folder that holds the .safetensors files.",
    ),
    # -- LL14x: decisions and the board -------------------------------------------------------
    "LL140": Entry(
        "The store of decisions cannot be used",
        "reviews.db is damaged, of a newer loraloom, or held by another program.",
        "Close other programs that use the file, or restore it from a backup.",
    ),
    # -- LL2xx: pictures, dataset, captions, tagging -----------------------------------------
    "LL201": Entry(
        "No pictures",
        "The folder, or the project's source/, holds no picture files.",
        "Name the folder with your pictures; png, jpg, jpeg, webp, bmp, gif and tiff are taken.",
    ),
    "LL202": Entry(
        "A broken picture",
        "The file is empty, cut short, too large, or no picture at all.",
        "Get it again, take it out of the folder, or import with --skip-broken.",
    ),
    "LL203": Entry(
        "A stem that repeats",
        "Two pictures differ only in suffix or folder, so they would share one caption file.",
        "Rename one of the two, or import with --rename.",
    ),
    "LL204": Entry(
        "Importing from inside the project",
        "The folder to import lies in the project itself.",
        "Import from the folder where you collect your pictures.",
    ),
    "LL205": Entry(
        "A role for an unknown picture",
        "The roles file names a picture that was not imported.",
        "Correct the name, or import the picture first.",
    ),
    "LL206": Entry(
        "A roles file that cannot be read",
        "A line is not `picture,role`, or the file is no UTF-8 text.",
        "Write lines such as: fox 01.png,primary",
    ),
    "LL207": Entry(
        "A foreign picture in images/",
        "A picture was put into images/ by hand; staging makes that folder again.",
        "Move it out and import it.",
    ),
    "LL208": Entry(
        "A file name that is not text",
        "The name is not encoded in UTF-8, as after unpacking an old archive.",
        "Rename the file.",
    ),
    "LL209": Entry(
        "A rating that cannot be written",
        "The picture file or its XMP is damaged, or of a form that cannot be changed safely.",
        "Rate it in the viewer that wrote it.",
    ),
    "LL250": Entry(
        "No tagger in that folder",
        "The folder has no model.onnx.",
        "Download a WD14 tagger's model.onnx and selected_tags.csv into one folder.",
    ),
    "LL251": Entry(
        "A tag list that cannot be used",
        "selected_tags.csv is missing, or has no columns name and category.",
        "Download the tagger's folder again.",
    ),
    "LL252": Entry(
        "onnxruntime is not installed",
        "Tagging runs the model through onnxruntime, an optional package.",
        "Install it into the Python that the message names: -m pip install onnxruntime",
    ),
    "LL253": Entry(
        "No WD14 tagger",
        "The model's input or output has another shape, or it is no ONNX file.",
        "Use a model with the WD14 interface and its own selected_tags.csv.",
    ),
    "LL254": Entry(
        "A damaged caption edit",
        "A file in captions/ is not a valid JSON object.",
        "Correct it, or delete it to go back to the rules.",
    ),
    "LL255": Entry(
        "Undesired tags that cannot be read",
        "The file named in captions.undesired_tags_file is missing or no UTF-8 text.",
        "Correct the path in the manifest.",
    ),
    "LL256": Entry(
        "Nothing is staged",
        "images/ holds no pictures that were staged.",
        "Run `loraloom stage` first.",
    ),
    "LL257": Entry(
        "A picture without scores and no tagger",
        "A picture is new, and no tagger was named to look at it.",
        "Name one: --model FOLDER, or captions.model in the manifest.",
    ),
    "LL258": Entry(
        "Forbidden content",
        "A picture that looks like a minor has signs of something sexual.",
        "Delete the picture. There is no switch for this rule.",
    ),
    "LL259": Entry(
        "A caption that cannot be read",
        "A caption file is no UTF-8 text.",
        "Save it as UTF-8, or delete it.",
    ),
    # -- LL3xx: training ----------------------------------------------------------------------
    "LL301": Entry(
        "No Kohya config",
        "The file cannot be read, is not valid JSON, or holds no JSON object.",
        "Name a config that the Kohya GUI saved.",
    ),
    "LL302": Entry(
        "A value that the Kohya GUI cannot hold",
        "A value has another type, is out of its field's range or none of its choices; the GUI "
        "would load it and then fail at every click of that session.",
        "Correct the value that the message names.",
    ),
    "LL303": Entry(
        "Learning rates that train nothing",
        "All learning rates are 0, or t5xxl_lr is set while text_encoder_lr is 0.",
        "Set learning_rate, unet_lr or text_encoder_lr.",
    ),
    "LL304": Entry(
        "An unknown LoRA type",
        "The Kohya GUI of the chosen version has no such LoRA type.",
        "Choose one of those that the message lists.",
    ),
    "LL305": Entry(
        "An argument that sd-scripts would misread",
        "Through a config file sd-scripts checks neither names nor types nor choices.",
        "Correct the value that the message names.",
    ),
    "LL306": Entry(
        "An unknown preset",
        "training.preset names none, or one of another base model family.",
        "See `loraloom presets`.",
    ),
    "LL307": Entry(
        "No base model",
        "The manifest names no checkpoint to train on, or a Flux without its other three files.",
        "Write the file under the key that the message names.",
    ),
    "LL308": Entry(
        "An unknown override",
        "training.overrides has a key that is no field of the Kohya GUI.",
        "Correct the name.",
    ),
    "LL309": Entry(
        "Nothing is staged to train on",
        "images/ holds no pictures that were staged.",
        "Run `loraloom stage` first.",
    ),
    "LL310": Entry(
        "A secret in the manifest",
        "training.overrides holds a key for wandb or a model hub.",
        "Take it out and set WANDB_API_KEY or HF_TOKEN in the environment.",
    ),
    "LL311": Entry(
        "The Kohya GUI would run nothing",
        "With --as-gui: the GUI of the chosen version would refuse this json, or its page would "
        "be stuck after loading it.",
        "Correct the values that the message names, or leave out --as-gui to have them repaired.",
    ),
    "LL312": Entry(
        "A sample prompt that cannot be used",
        "A line of the sample prompts holds a setting that sd-scripts would ignore, or its "
        "template cannot be drawn.",
        "Correct the line that the message names.",
    ),
    "LL340": Entry(
        "No such entry in the queue",
        "The number is none of `loraloom queue list`.",
        "See `loraloom queue list`.",
    ),
    "LL341": Entry(
        "The queue cannot be used",
        "queue.json in loraloom's user folder is damaged, or another program holds it.",
        "Close the other program, or move the file away and add the trainings again.",
    ),
    "LL342": Entry(
        "The entry does not wait",
        "Only entries that wait can be moved; a running one cannot be removed.",
        "Stop its training first, or add it again.",
    ),
    "LL343": Entry(
        "The queue is being run already",
        "One program runs the queue for a graphics card.",
        "Add to the queue: the one that runs takes it up.",
    ),
    "LL344": Entry(
        "The record of a run is damaged",
        "A file in log/runs/ was changed by hand, or belongs to another loraloom.",
        "Move that run's folder away; its epoch files are elsewhere and stay.",
    ),
    "LL350": Entry(
        "No trainer is known",
        "loraloom does not know where sd-scripts is on this machine.",
        "Name your Kohya GUI or sd-scripts folder: `loraloom trainer use FOLDER`; or `loraloom "
        "trainer install`.",
    ),
    "LL351": Entry(
        "No sd-scripts, or too old a one",
        "The folder holds no train_network.py, or not the script that this base model needs.",
        "Name the right folder, or install a newer sd-scripts: `loraloom trainer install`.",
    ),
    "LL352": Entry(
        "No Python for the trainer",
        "Its folder has neither venv nor .venv, or that Python gives no answer.",
        "Run the trainer's own setup, or name the Python: `loraloom trainer use FOLDER "
        "--python FILE`.",
    ),
    "LL353": Entry(
        "A package is missing in the trainer's Python",
        "This config makes sd-scripts import a package that is not installed there.",
        "Install it with the command that the message gives.",
    ),
    "LL354": Entry(
        "Installing sd-scripts failed",
        "git or pip ended with an error; its own messages stand above.",
        "Fix the cause and run the same command again: it goes on where it ended.",
    ),
    "LL355": Entry(
        "A package of the trainer's Python cannot be imported",
        "It is installed, but broken: a library is missing, it was built for another PyTorch or "
        "CUDA, or an update was cut off. The training would fail at its start.",
        "Install it again with the command that the message gives.",
    ),
    "LL356": Entry(
        "A dataset config that cannot be used",
        "The toml or json is missing, has keys or values that sd-scripts refuses, or names a "
        "folder that does not exist.",
        "Correct the place that the message names.",
    ),
    "LL360": Entry(
        "The picture folder does not exist",
        "sd-scripts would report success and train nothing.",
        "Correct train_data_dir.",
    ),
    "LL361": Entry(
        "The picture folder is empty",
        "sd-scripts would report success and train nothing.",
        "Put folders such as 5_Trigger into it.",
    ),
    "LL362": Entry(
        "Pictures lie beside the folders",
        "sd-scripts reads numbered folders only, not the pictures beside them.",
        "Move them into a folder such as 5_Trigger.",
    ),
    "LL363": Entry(
        "A folder without a number",
        "sd-scripts skips folders whose name does not begin with repeats.",
        "Rename it, for example to 5_Trigger.",
    ),
    "LL364": Entry(
        "A folder with 0 repeats",
        "sd-scripts skips it.",
        "Begin its name with a number of at least 1.",
    ),
    "LL365": Entry(
        "A folder without an underscore",
        "sd-scripts skips 5Trigger; it wants 5_Trigger.",
        "Rename it.",
    ),
    "LL366": Entry(
        "A numbered folder without pictures",
        "It holds nothing that sd-scripts reads.",
        "Put png, jpg, webp or bmp files in it, or remove it.",
    ),
    "LL367": Entry(
        "Pictures one folder too deep",
        "sd-scripts does not look into folders inside a numbered folder.",
        "Move the pictures up.",
    ),
    "LL368": Entry(
        "A picture that would be skipped",
        "sd-scripts reads suffixes in all lower or all upper case, and not every format.",
        "Rename the suffix, or convert the picture to PNG.",
    ),
    "LL369": Entry(
        "A picture larger than the resolution, without buckets",
        "sd-scripts stops at the first step.",
        "Enable buckets.",
    ),
    "LL370": Entry(
        "A picture smaller than a bucket step",
        "With bucket_no_upscale sd-scripts divides by zero.",
        "Take it out, or switch bucket_no_upscale off.",
    ),
    "LL371": Entry(
        "A picture stored sideways",
        "sd-scripts ignores the orientation mark.",
        "Stage it with `loraloom stage`, which turns it.",
    ),
    "LL372": Entry(
        "An empty caption",
        "sd-scripts stops at a caption file of 0 bytes.",
        "Write something in it, or delete it.",
    ),
    "LL373": Entry(
        "Pictures without captions",
        "The words of their folder are used instead.",
        "Caption them with `loraloom caption`, or let it be.",
    ),
    "LL374": Entry(
        "Captions with another extension",
        "sd-scripts looks for one extension only, by default .caption.",
        "Set caption_extension to the one that your files have.",
    ),
    "LL375": Entry(
        "A caption with a byte order mark",
        "The mark would become part of the first tag.",
        "Save it as UTF-8 without one.",
    ),
    "LL376": Entry(
        "A number that may not be 0",
        "sd-scripts divides by it; if it says how often to save, the first epoch is lost.",
        "Make it at least 1, or leave it out.",
    ),
    "LL377": Entry(
        "A resolution or bucket size that cannot be used",
        "The resolution is not text such as 512,512, or lies outside the bucket sizes.",
        "Correct the value that the message names.",
    ),
    "LL378": Entry(
        "No network module",
        "The config names none, or one that this sd-scripts does not have.",
        "For a plain LoRA: networks.lora",
    ),
    "LL379": Entry(
        "Network weights of another rank",
        "The file to go on from was trained with another network_dim.",
        "Set network_dim to its rank, or dim_from_weights.",
    ),
    "LL380": Entry(
        "The base model does not exist",
        "pretrained_model_name_or_path names no file of this machine.",
        "Correct the path.",
    ),
    "LL381": Entry(
        "A file of the config does not exist",
        "VAE, network weights or a text encoder is missing.",
        "Correct the path.",
    ),
    "LL382": Entry(
        "A state that cannot be resumed",
        "The folder is missing, or a file in it is missing or cut short.",
        "Name another state, or go on from an epoch file as network weights.",
    ),
    "LL383": Entry(
        "Nothing is left to train",
        "The state is at or behind the last epoch of this run.",
        "Ask for more epochs: --epochs.",
    ),
    "LL384": Entry(
        "A base model of another family",
        "Its tensors belong to another family than the one that the script trains.",
        "Choose its family in the config, or another base model.",
    ),
    "LL385": Entry(
        "Epoch files would be overwritten",
        "Files of that name exist; sd-scripts overwrites in silence.",
        "Train under another output_name, or with --move-old.",
    ),
    "LL386": Entry(
        "Too little space for the epoch files",
        "All epoch files and states together need more than the disk has free.",
        "Free some space, save less often, or keep fewer states.",
    ),
    "LL387": Entry(
        "The graphics card is missing or in use",
        "No NVIDIA card was found, or another program holds its memory.",
        "Close the WebUI, or set training.free_webui in the manifest.",
    ),
    "LL388": Entry(
        "Neither epochs nor steps",
        "sd-scripts would train its own 1,600 steps.",
        "Give max_train_epochs.",
    ),
    "LL389": Entry(
        "A plugin cannot be loaded",
        "A package that frees the graphics card before a training raised an error.",
        "Update or remove it, or switch training.free_webui off.",
    ),
    "LL390": Entry(
        "The trainer failed",
        "sd-scripts ended with an error, or something ended it; the message holds its own words.",
        "Fix the cause; whole epoch files and states stay.",
    ),
    "LL391": Entry(
        "The loss became NaN",
        "From that step on nothing more is learned; sd-scripts itself would go on to the end.",
        "Lower the learning rate, use bf16, or for SDXL with fp16 no_half_vae.",
    ),
    "LL392": Entry(
        "The trainer found no pictures",
        "It ended with success all the same.",
        "`loraloom check` names the folders that it skips.",
    ),
    "LL393": Entry(
        "The trainer's success could not be verified",
        "An epoch file is missing, cut short, or says other steps than expected.",
        "Look at stdout.txt and stderr.txt in the run's folder.",
    ),
    "LL394": Entry(
        "A training is under way",
        "The same project is being trained, or its run is watched by another program.",
        "Look on with `loraloom train --attach`, or stop it with --stop.",
    ),
    "LL395": Entry(
        "No training is under way",
        "There is nothing to look at, to pause or to stop.",
        "Start one: `loraloom train`.",
    ),
    "LL396": Entry(
        "No state to resume from",
        "The folder holds no whole state of this LoRA.",
        "Start with --save-states next time; go on from an epoch file as network weights.",
    ),
    "LL397": Entry(
        "A run that cannot be paused",
        "It saves no states, so it could not go on.",
        "Stop it with --stop-after-epoch, and start it with --save-states next time.",
    ),
    "LL398": Entry(
        "The watcher ended at once",
        "The program that follows a detached training could not begin.",
        "Read watcher.txt in the run's folder, or train without --detach.",
    ),
    "LL399": Entry(
        "No run to report on",
        "The project was not trained by loraloom yet, or has no run of that number.",
        "Train first, or name another run.",
    ),
    # -- LL4xx: WebUI, lending, cells ---------------------------------------------------------
    "LL401": Entry(
        "No WebUI answers",
        "Nothing listens at that address, or the address is wrong.",
        "Start the WebUI with --api, wait until its window says that it runs.",
    ),
    "LL402": Entry(
        "The WebUI runs without its API",
        "It answers, but the routes of the API are not there.",
        "Start it with --api.",
    ),
    "LL403": Entry(
        "Wrong credentials",
        "The WebUI was started with --api-auth and refused user and password.",
        "Give the same ones: --auth user:password.",
    ),
    "LL404": Entry(
        "The WebUI does not answer in time",
        "It is busy, hangs, or the network is slow.",
        "See in its window whether it still works, then run the same command again.",
    ),
    "LL405": Entry(
        "The WebUI refused a request",
        "It answered with an error of its own; the message holds its words.",
        "Its own window says more.",
    ),
    "LL406": Entry(
        "That is no WebUI",
        "Another program answers at that address.",
        "Check address and port.",
    ),
    "LL407": Entry(
        "The GPU is out of memory",
        "The picture is too large for the memory that is free.",
        "Use a smaller size or batch, or close other programs that use the GPU.",
    ),
    "LL408": Entry(
        "An unknown checkpoint",
        "The WebUI has no checkpoint of that name; case counts. It would silently use another.",
        "Use a title of `loraloom webui`.",
    ),
    "LL409": Entry(
        "An unknown LoRA",
        "The WebUI has no LoRA file of that stem; case counts. It would silently draw without it.",
        "Lend the file first: `loraloom link-loras`.",
    ),
    "LL410": Entry(
        "An unknown sampler, scheduler, upscaler or VAE",
        "The WebUI would silently use its default.",
        "Use a name of `loraloom webui`.",
    ),
    "LL411": Entry(
        "No way to the WebUI's LoRA folder",
        "The WebUI runs on another machine, or its folder cannot be reached from here.",
        "Share its LoRA folder and name it: --lora-folder PATH.",
    ),
    "LL412": Entry(
        "The WebUI does not see a lent file",
        "The file was put into a folder that this WebUI does not read.",
        "Name the folder that it reads: --lora-folder PATH.",
    ),
    "LL413": Entry(
        "No WebUI is named",
        "The command needs to know where the WebUI is.",
        "Name it: --webui http://127.0.0.1:7860; it is remembered.",
    ),
    "LL414": Entry(
        "A LoRA weight that is not a number",
        "The WebUI would silently draw without the LoRA.",
        "Write the weight as a number: <lora:Quillfox:0.8>.",
    ),
    "LL415": Entry(
        "An always-on script that the WebUI lacks",
        "A script under picture.scripts is not installed there, or takes fewer arguments.",
        "Install its extension, or use a name of `loraloom webui`.",
    ),
    "LL450": Entry(
        "The ledger cannot be used",
        "cells.db is damaged, or another program holds it.",
        "Close the other program, or move the file away.",
    ),
    "LL451": Entry(
        "An answer without a usable picture",
        "The WebUI answered 200, but with no picture, or with too many.",
        "An extension of the WebUI may be in the way.",
    ),
    "LL452": Entry(
        "Pictures failed",
        "An answer did not match its request, or none came; the message says which.",
        "Fix the cause and run the same command again: finished pictures are kept.",
    ),
    "LL453": Entry(
        "Stopped",
        "You stopped the run.",
        "Run the same command again to go on.",
    ),
    "LL454": Entry(
        "No batches here",
        "The cells want to be drawn together, and this backend draws single pictures only.",
        "Draw without batches.",
    ),
    "LL455": Entry(
        "The picture to start from is gone or changed",
        "An img2img cell is pinned to the picture's content, and the file has another one.",
        "Put the picture back, or choose it again.",
    ),
    "LL456": Entry(
        "Dask is not installed",
        "--cluster hands pictures to a Dask cluster, an optional package.",
        "Install it on every machine: pip install distributed",
    ),
    "LL457": Entry(
        "No Dask scheduler answers",
        "Nothing listens at the address after --cluster.",
        "Start one with `dask scheduler` and workers with `dask worker ADDRESS`.",
    ),
    # -- LL5xx: grids -------------------------------------------------------------------------
    "LL501": Entry(
        "A cell too large for the file format",
        "JPEG ends at 65,535 pixels a side, WebP at 16,383, and one cell alone is larger.",
        "Write the contact sheet as PNG, or with smaller cells: --cell-pixels 1024.",
    ),
    "LL502": Entry(
        "A finished picture cannot be read",
        "A file in cells/ was damaged or taken away after it was drawn.",
        "Run the grid again; a cell whose picture is gone is drawn once more.",
    ),
    "LL503": Entry(
        "Too much for a single file",
        "The pictures are larger together than --single-file allows.",
        "Allow more, draw fewer cells, or send the grid's folder as it is.",
    ),
    "LL504": Entry(
        "A prompt without a place for the LoRA",
        "The grid's prompt has neither {lora} nor the tag of one of the epochs.",
        "Put {lora} where the tag belongs, for example: {lora} photo of {trigger}",
    ),
    "LL505": Entry(
        "No such axis",
        "The name before the = sign is not an axis of the grid.",
        "Use a name of the X/Y/Z plot, for example CFG Scale=5,7.",
    ),
    "LL506": Entry(
        "An axis value that cannot be used",
        "The value is not a number, range or size, or it is out of range.",
        "Write values as in the X/Y/Z plot: 1-10 (+3), 5,7, 512x768.",
    ),
    "LL507": Entry(
        "Prompt S/R found nothing",
        "The first value is not in the prompt or negative prompt, or only inside a longer name.",
        "The first value is the text to search for; write it as it stands in the prompt.",
    ),
    "LL508": Entry(
        "A skip rule that cannot be used",
        "It names an axis or a value that the grid does not have.",
        "Write it as NAME=VALUE & NAME=VALUE, with labels as the plan shows them.",
    ),
    "LL509": Entry(
        "No such epoch",
        "None of the epoch files answers to what --epochs says.",
        "See what there is: loraloom epochs.",
    ),
    "LL510": Entry(
        "No choice of this project",
        "The file holds no choice of a grid page, or one of another project or a lost epoch.",
        "Open the grid's page, choose an epoch and save the choice again.",
    ),
    "LL511": Entry(
        "One GPU for two",
        "`grid --follow` would draw on the GPU that trains.",
        "Use --at-end, a WebUI on another machine, or --same-gpu if there is memory for both.",
    ),
    "LL512": Entry(
        "A damaged grid.json",
        "The file that keeps a grid's seeds is not valid JSON.",
        "Delete it to draw new seeds; finished pictures stay in cells/.",
    ),
    "LL513": Entry(
        "A template that cannot be expanded",
        "It has a mistake, or names a wildcard that is not there.",
        "The message shows the place; `loraloom prompt` checks templates.",
    ),
    "LL514": Entry(
        "No grid to show",
        "`grid --serve` found no grid in the project.",
        "Draw one first: loraloom grid PROJECT",
    ),
    "LL515": Entry(
        "More than an X/Y/Z plot can draw",
        "The WebUI's own plot has three axes and no skip rules, and draws a template again for "
        "every cell.",
        "Leave out --server-side; the pictures are the same bit for bit.",
    ),
    "LL516": Entry(
        "No X/Y/Z plot, or not that axis",
        "The WebUI does not have the script, or its script lacks an axis of the grid.",
        "Leave out --server-side.",
    ),
    "LL517": Entry(
        "A blank cell in the X/Y/Z plot",
        "The WebUI's script answers a cell that failed with a blank picture and status 200.",
        "See the WebUI's own window, or draw without --server-side.",
    ),
    "LL518": Entry(
        "Seeds that do not fill a batch",
        "Pictures drawn together have seeds that count up, as many as the batch is large.",
        "Give as many -1 as a multiple of the batch size, or seeds such as 1-8.",
    ),
    # -- LL6xx: showcase, selection, promotion, publishing ------------------------------------
    "LL601": Entry(
        "No such epoch to promote",
        "No epoch file answers to that number or name.",
        "Use a number of `loraloom epochs`, `last`, or the file's name.",
    ),
    "LL602": Entry(
        "A name that makes trouble in prompts",
        "It has blanks or other characters, two underscores, or ends like an epoch's number.",
        "Choose a simple one, for example Quillfox-v1.",
    ),
    "LL603": Entry(
        "A promoted file that is not as it should be",
        "What was read back differs from what was written; the file was removed again.",
        "Check the disk, and that no other program works on that folder.",
    ),
    "LL604": Entry(
        "Nothing is promoted yet",
        "The step needs the chosen epoch under its final name.",
        "Choose one in the grid, then: loraloom promote PROJECT EPOCH NAME",
    ),
    "LL605": Entry(
        "Another LoRA answers to that name",
        "The WebUI has a file or an alias of that name; it would use one of the two in silence.",
        "Choose another name, or move the other file away.",
    ),
    "LL606": Entry(
        "A LoRA without weights",
        "The file has a header and no tensors.",
        "Choose another epoch.",
    ),
    "LL611": Entry(
        "A style that cannot be used",
        "The styles file cannot be read, is of another form, or lacks the style.",
        "Name the WebUI's styles.csv and a style that is in it.",
    ),
    "LL612": Entry(
        "A template without the LoRA",
        "There is no template, or it draws prompts in which the LoRA's tag is missing.",
        "Put {lora} where the tag belongs; in wildcard files write ${lora}.",
    ),
    "LL613": Entry(
        "A template that cannot be expanded",
        "A bracket is not closed, a wildcard or variable is missing, or it refers to itself.",
        "Correct the place that the message shows.",
    ),
    "LL614": Entry(
        "A helper LoRA that is missing",
        "An option of the template names a LoRA that the WebUI does not have; it would "
        "silently draw without it.",
        "Put the file into the WebUI's LoRA folder, or take the option out.",
    ),
    "LL615": Entry(
        "A wildcard that is missing",
        "The template, or a wildcard in it, names a wildcard without values.",
        "Put the file into the wildcards folder, or correct the reference.",
    ),
    "LL616": Entry(
        "Forbidden words in a prompt",
        "A prompt names a minor together with something sexual.",
        "Take one of them out of the template. There is no switch for this rule.",
    ),
    "LL617": Entry(
        "No picture to choose from",
        "The showcase has no picture that was drawn with the promoted file.",
        "Draw some: `loraloom showcase`.",
    ),
    "LL618": Entry(
        "Ratings that cannot be read",
        "The file has no lines `picture,rating` and is not a valid JSON object of them.",
        "Write lines such as: picture.png,1",
    ),
    "LL619": Entry(
        "An unknown picture",
        "--keep, --drop or a rating names a picture that is not in the showcase.",
        "Name files of the project's showcase folder.",
    ),
    "LL620": Entry(
        "Too many pictures for a post",
        "More than 20 pictures are kept, rated 1 or selected.",
        "Rate some of them 2, for a follow-up post.",
    ),
    "LL621": Entry(
        "Too many pictures of one framing",
        "The kept pictures cannot be ordered so that no two of one framing stand side by side.",
        "Keep fewer of that framing, or keep others too.",
    ),
    "LL622": Entry(
        "Nothing is selected",
        "showcase/selection.json is missing, empty or damaged.",
        "Select pictures: `loraloom select`.",
    ),
    "LL623": Entry(
        "A selected picture is gone or changed",
        "Its file is missing, or no longer what it was when it was selected.",
        "Put it back, or select again.",
    ),
    "LL624": Entry(
        "A picture without generation data",
        "Another program has saved it again and lost what the WebUI wrote into it.",
        "Select a picture as the WebUI made it.",
    ),
    "LL625": Entry(
        "A wrong hash in the LoRA's header",
        "The stored sshs_model_hash is not that of the tensors; the WebUI would write it "
        "into every picture.",
        "Promote the epoch again.",
    ),
    "LL626": Entry(
        "A picture of another file",
        "It was drawn with another LoRA file, or under another name, than the one that is "
        "published.",
        "Draw the showcase again with the promoted file.",
    ),
    "LL627": Entry(
        "A base model that the site does not know",
        "publish.base_model is spelled otherwise than in the site's list, or is of another family.",
        "Write it as the message says.",
    ),
    "LL628": Entry(
        "Forbidden content in a picture",
        "The tagger sees someone who looks like a minor together with something sexual.",
        "Drop the picture. There is no switch for this rule.",
    ),
    "LL629": Entry(
        "Nothing to upscale",
        "No picture is marked on the review page, and no file was named.",
        "Mark some with u on the review page, or name their files.",
    ),
    "LL630": Entry(
        "Another checkpoint of that name",
        "The WebUI's checkpoint has the name of the one that drew the picture, but another hash.",
        "Put the checkpoint back that the picture was drawn with.",
    ),
    # -- LL7xx: inside the hosts ----------------------------------------------------------------
    "LL701": Entry(
        "No Kohya GUI in that folder",
        "The folder has no kohya_gui.py.",
        "Name the folder that gui.sh or gui.bat is in: loraloom kohya --dir FOLDER",
    ),
    "LL702": Entry(
        "The Kohya GUI's Python was not found",
        "The GUI's folder has neither venv nor .venv, or --python names no file.",
        "Run the GUI's own setup first, or name the Python that it uses: --python FILE",
    ),
    "LL703": Entry(
        "The Kohya GUI's Python gives no answer",
        "It does not start, or does not say where its packages are.",
        "Check that this Python runs, or name another one: --python FILE",
    ),
    "LL704": Entry(
        "The Kohya GUI's folder is unknown",
        "`loraloom kohya` was called without --dir for the first time.",
        "Name the folder once, it is remembered: loraloom kohya --dir FOLDER",
    ),
    "LL705": Entry(
        "The Kohya GUI ended with an error",
        "Its own program stopped; its messages stand above ours.",
        "Start it by its own gui.sh or gui.bat to see whether it runs without the tab.",
    ),
    "LL706": Entry(
        "gradio is not installed",
        "`loraloom gui` shows its page with gradio 6, an optional package.",
        'Install it into the Python that the message names: -m pip install "gradio>=6,<7"',
    ),
    "LL707": Entry(
        "A step of this project is still going on",
        "The tab runs one step of a project at a time, from whichever browser window.",
        "Wait until it has finished, or stop it.",
    ),
    "LL708": Entry(
        "No folder is named",
        "A box for a folder is empty.",
        "Type the folder's path into it.",
    ),
    "LL709": Entry(
        "The port is taken",
        "Another program listens where `loraloom gui` was to show its page.",
        "Close that program, or name another port: --port NUMBER",
    ),
    "LL751": Entry(
        "The prompt names no LoRA",
        "The script LoRA epoch grid compares the epochs of the LoRA in the prompt; there is none.",
        "Write one of the epoch files into the prompt, for example <lora:Quillfox-000004:1>.",
    ),
    "LL752": Entry(
        "The LoRA of the prompt has no file",
        "No file in the WebUI's LoRA folders has that name; capitals count.",
        "Correct the name in the prompt, or copy the epoch files into the LoRA folder.",
    ),
    "LL753": Entry(
        "The LoRA of the prompt has one epoch only",
        "No other file of the same training run is in the folder of that file.",
        "Put the run's other epoch files beside it.",
    ),
    "LL754": Entry(
        "More than one LoRA with epochs",
        "The prompt names several LoRAs whose epochs could be compared.",
        'Write the one to compare into the box "LoRA" of the script.',
    ),
    "LL755": Entry(
        "A folder that loraloom may not enter",
        "The path is in none of the folders that the WebUI's settings name.",
        "Add its folder in the WebUI's Settings, section loraloom.",
    ),
    "LL756": Entry(
        "The WebUI could not draw a picture",
        "The WebUI or one of its extensions raised an error while it drew.",
        "Read the WebUI's console; when the cause is fixed, press Generate again.",
    ),
    "LL757": Entry(
        "A picture was skipped",
        "Skip was pressed while it was drawn, so it is not finished.",
        "Press Generate again: only the missing pictures are drawn.",
    ),
    "LL759": Entry(
        "Seeds that a grid cannot have",
        "There is no seed, there are too many, or one is out of range.",
        "Write whole numbers such as 5, 7, 10-12; -1 is a random one.",
    ),
    "LL760": Entry(
        "Hires. fix with a fixed size",
        '"Resize width to" or "Resize height to" is set; the grid knows "Upscale by" only.',
        'Set both to 0 and use "Upscale by".',
    ),
    "LL761": Entry(
        "A request that cannot be understood",
        "The body of POST /loraloom/v1/grids has an unknown field, a wrong type or a number out "
        "of range.",
        "Correct the field that the message names.",
    ),
    "LL762": Entry(
        "There is no such grid",
        "The number is wrong, or a hundred grids were started since.",
        "See GET /loraloom/v1/grids, or start the grid again: finished pictures are kept.",
    ),
    "LL763": Entry(
        "A grid without a result",
        "It still waits or is being drawn, or it failed.",
        "Ask again when its state is done; when it failed, fix the cause and start it again.",
    ),
    "LL764": Entry(
        "A request that is not a valid JSON object",
        "The body is empty, too long, or something else than JSON.",
        'Send a JSON object with the header "Content-Type: application/json".',
    ),
    "LL765": Entry(
        "A grid without that file",
        "The address names a file that is not part of the grid's result.",
        "Use the addresses in the grid's result.",
    ),
    "LL766": Entry(
        "A started grid that is gone",
        "Its folder was deleted or moved, or its grid.json is damaged.",
        "Start the grid again; pictures that are still in the ledger are not drawn twice.",
    ),
    "LL767": Entry(
        "A grid with always-on scripts, inside the WebUI",
        "grid.picture.scripts are sent over the API only; the tab would draw without them.",
        "Draw it with `loraloom grid`, or take them out.",
    ),
}
